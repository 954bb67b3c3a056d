//! The simulated API: routes, store and settings behind an axum router.
