//! The cluster with all defaults filled in.
