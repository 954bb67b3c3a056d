//! `plan(desired, live, today)`: a pure function from two states to an immutable plan.
