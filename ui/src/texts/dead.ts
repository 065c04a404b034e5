// Texts of the dead letter desk.
export const dead = {
  redacted: 'what it said is for those who may see payloads',
}
