//! Claims of resources that drivers hand out (`validatePodResourceClaims`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::{Cursor, quoted};
use crate::manifest::validate::names;
use std::collections::BTreeSet;

/// The names of the claims.
pub(super) fn validate<'v>(claims: &Cursor<'v>, report: &mut Report<'_>) -> BTreeSet<&'v str> {
    let mut seen = BTreeSet::new();
    for claim in claims.items() {
        let name = claim.get("name");
        if name.text().is_empty() {
            name.required(report);
        } else if seen.insert(name.text()) {
            name.invalid(report, names::dns_label(name.text()));
        } else {
            name.duplicate(report);
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"].map(|field| claim.get(field));
        let why = match sources.iter().filter(|source| source.is_set()).count() {
            0 => Some("must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"),
            1 => None,
            _ => Some("at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"),
        };
        if let Some(why) = why {
            claim.because_of(report, &internal(&claim), why);
        }
        for source in sources.iter().filter(|source| source.is_set()) {
            source.invalid(report, names::dns_subdomain(source.text()));
        }
    }
    seen
}

/// The claim as the API server shows its own form of it.
fn internal(claim: &Cursor<'_>) -> String {
    format!(
        "{{\"Name\":{},\"ResourceClaimName\":{},\"ResourceClaimTemplateName\":{}}}",
        quoted(claim.get("name").text()),
        claim.get("resourceClaimName").shown(),
        claim.get("resourceClaimTemplateName").shown()
    )
}
