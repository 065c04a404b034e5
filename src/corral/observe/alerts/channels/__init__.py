"""Where alerts are told, a file each. A channel sends one notice a call, and says what was answered."""
