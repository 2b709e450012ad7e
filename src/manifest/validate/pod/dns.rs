//! `dnsPolicy` and `dnsConfig` (`validateDNSPolicy`, `validatePodDNSConfig`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::names;

/// `MaxDNSNameservers`.
const NAMESERVERS: usize = 3;
/// `MaxDNSSearchPaths`.
const SEARCHES: usize = 32;
/// `MaxDNSSearchListChars`, the spaces between the domains included.
const SEARCH_CHARS: usize = 2048;

pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let policy = spec.get("dnsPolicy");
    let config = spec.get("dnsConfig");
    let nameservers = config.get("nameservers");
    if policy.text() == "None" {
        if !config.is_set() {
            return report.error(&config.path(), "invalid.dns-none", Some("invalid.dns-none.hint"), &[]);
        } else if nameservers.len() == 0 {
            let hint = Some("invalid.dns-none.hint");
            return report.error(&nameservers.path(), "invalid.dns-none-server", hint, &[]);
        }
    }
    if nameservers.len() > NAMESERVERS {
        nameservers.fault(
            report,
            "invalid.dns-servers",
            "invalid.dns-servers.hint",
            &[&NAMESERVERS.to_string()],
        );
    }
    for server in nameservers.items() {
        if !names::is_ip(server.text()) {
            server.fault(report, "invalid.ip", "invalid.ip.hint", &[]);
        }
    }
    searches(&config.get("searches"), report);
    for option in config.get("options").items() {
        if option.get("name").text().is_empty() {
            report.error(&option.path(), "invalid.dns-option", Some("invalid.dns-option.hint"), &[]);
        }
    }
}

fn searches(searches: &Cursor<'_>, report: &mut Report<'_>) {
    if searches.len() > SEARCHES {
        searches.fault(report, "invalid.dns-searches", "invalid.dns-searches.hint", &[&SEARCHES.to_string()]);
    }
    let chars = searches.items().map(|domain| domain.text().len() + 1).sum::<usize>().saturating_sub(1);
    if chars > SEARCH_CHARS {
        searches.fault(
            report,
            "invalid.dns-chars",
            "invalid.dns-searches.hint",
            &[&SEARCH_CHARS.to_string()],
        );
    }
    for domain in searches.items() {
        domain.invalid(report, names::search_domain(domain.text()));
    }
}
