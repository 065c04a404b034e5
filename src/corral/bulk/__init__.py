"""Operations on all jobs of a state that fit a filter, however many: see `desk`."""
