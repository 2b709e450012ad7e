//! Validation as the API server does it, after decoding.

use super::objects::Found;
use super::report::Report;
use super::schema::Kind;
use crate::base::Diagnostic;
use serde_json::Value;

/// Validates one object.
pub(super) fn object(_kind: Kind, _raw: &Value, _report: &mut Report<'_>) {}

/// Validates what objects say of each other.
pub(super) fn across(_objects: &[Found<'_>], _diagnostics: &mut Vec<Diagnostic>) {}
