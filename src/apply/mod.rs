//! Carries a plan out, in its order, and emits events.
