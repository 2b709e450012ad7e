//! What goes with an operating system (`validateOS`, `validateLinux`, `validateWindows`), and the options of Windows
//! (`validateWindowsSecurityContextOptions`, `validateWindowsHostProcessPod`).

use crate::manifest::report::Report;
use crate::manifest::validate::cursor::Cursor;
use crate::manifest::validate::names;

const NOT_ON_LINUX: &str = "windows options cannot be set for a linux pod";
const NOT_ON_WINDOWS: &str = "cannot be set for a windows pod";
/// What a Windows Pod cannot set, in upstream's order, and whether it stands in the security context.
const OF_POD: [(&str, bool); 14] = [
    ("appArmorProfile", true),
    ("seLinuxOptions", true),
    ("hostUsers", false),
    ("hostPID", false),
    ("hostIPC", false),
    ("seccompProfile", true),
    ("fsGroup", true),
    ("fsGroupChangePolicy", true),
    ("sysctls", true),
    ("shareProcessNamespace", false),
    ("runAsUser", true),
    ("runAsGroup", true),
    ("supplementalGroups", true),
    ("supplementalGroupsPolicy", true),
];
/// The same of its containers' security contexts.
const OF_CONTAINER: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];
/// `maxGMSACredentialSpecLengthInKiB`.
const MOST_KIB: usize = 64;
/// `maxRunAsUserNameDomainLength` and `maxRunAsUserNameUserLength`.
const MOST_DOMAIN: usize = 256;
const MOST_USER: usize = 104;

/// The security contexts of all containers (`VisitContainersWithPath`).
fn contexts<'v>(spec: &Cursor<'v>) -> Vec<Cursor<'v>> {
    let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter();
    lists.flat_map(|list| spec.get(list).items()).map(|one| one.get("securityContext")).collect()
}

/// Whether something is set: flags of the node's namespaces are only where they are true, lists only where they hold something.
fn is_set(field: &Cursor<'_>, name: &str) -> bool {
    match name {
        "hostPID" | "hostIPC" => field.is_true(),
        "sysctls" => field.len() > 0,
        _ => field.is_set(),
    }
}

/// `spec.os`, and what does not go with it. The field above is the place of a wrong name.
pub(super) fn validate(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let system = spec.get("os");
    let name = system.get("name");
    if !system.is_set() {
        return;
    }
    match name.text() {
        "" => name.required_because(report, "cannot be empty"),
        "linux" => {
            for context in std::iter::once(spec.get("securityContext")).chain(contexts(spec)) {
                let options = context.get("windowsOptions");
                if options.is_set() {
                    options.forbidden(report, NOT_ON_LINUX);
                }
            }
        }
        "windows" => {
            let context = spec.get("securityContext");
            for (field, is_within) in OF_POD {
                let found = if is_within { context.get(field) } else { spec.get(field) };
                if is_set(&found, field) {
                    found.forbidden(report, NOT_ON_WINDOWS);
                }
            }
            for context in contexts(spec) {
                for field in OF_CONTAINER.map(|field| context.get(field)) {
                    if field.is_set() {
                        field.forbidden(report, NOT_ON_WINDOWS);
                    }
                }
            }
        }
        _ => {
            let args = [&*name.shown(), "\"linux\", \"windows\""];
            let places = (&*name.path(), &*system.path());
            report.error_near(places, "invalid.unsupported", "invalid.unsupported.hint", &args);
        }
    }
}

/// `windowsOptions` of a security context.
pub(super) fn options(options: &Cursor<'_>, report: &mut Report<'_>) {
    let (name, spec) = (options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec"));
    if name.is_set() {
        name.invalid(report, names::dns_subdomain(name.text()));
    }
    if spec.is_set() && spec.text().is_empty() {
        spec.because(report, "gmsaCredentialSpec cannot be an empty string");
    } else if spec.text().len() > MOST_KIB * 1024 {
        spec.because(report, &format!("gmsaCredentialSpec size must be under {MOST_KIB} KiB"));
    }
    let user = options.get("runAsUserName");
    if user.is_set() {
        user_name(&user, report);
    }
}

/// `[DOMAIN\]USER`.
fn user_name(name: &Cursor<'_>, report: &mut Report<'_>) {
    let text = name.text();
    let (domain, user) = match text.split('\\').collect::<Vec<_>>()[..] {
        _ if text.is_empty() => return name.because(report, "runAsUserName cannot be an empty string"),
        _ if text.bytes().any(|byte| byte.is_ascii_control()) => {
            return name.because(report, "runAsUserName cannot contain control characters");
        }
        [user] => (None, user),
        [domain, user] => (Some(domain), user),
        _ => return name.because(report, "runAsUserName cannot contain more than one backslash"),
    };
    if domain.is_some_and(|domain| domain.len() >= MOST_DOMAIN) {
        name.because(
            report,
            &format!("runAsUserName's Domain length must be under {MOST_DOMAIN} characters"),
        );
    }
    if domain.is_some_and(|domain| !is_net_bios(domain) && !is_dns(domain)) {
        name.because(report, "runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    }
    if user.is_empty() {
        name.because(report, "runAsUserName's User cannot be empty");
    } else if user.len() > MOST_USER {
        let why = format!("runAsUserName's User length must not be longer than {MOST_USER} characters");
        name.because(report, &why);
    }
    if !user.is_empty() && user.bytes().all(|byte| matches!(byte, b'.' | b' ')) {
        name.because(report, "runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(|letter| "\"/\\:;|=,+*?<>@[]".contains(letter)) {
        let why = "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]";
        name.because(report, why);
    }
}

/// A `NetBIOS` name: at most 15 letters, of which the first is no dot.
fn is_net_bios(domain: &str) -> bool {
    let is_bad = |letter| "\\/:*?\"<>|".contains(letter);
    (1..=15).contains(&domain.chars().count()) && !domain.starts_with('.') && !domain.contains(is_bad)
}

/// Labels of letters, digits and dashes, at most 63 of them, which no dash begins or ends.
fn is_dns(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// Containers that are processes of the node: all of a Pod or none, and in the node's network.
pub(super) fn host_processes(spec: &Cursor<'_>, report: &mut Report<'_>) {
    let of = |context: &Cursor<'_>| context.get("windowsOptions").get("hostProcess").value.as_bool();
    let whole = of(&spec.get("securityContext"));
    let contexts = contexts(spec);
    for context in &contexts {
        if let (Some(whole), Some(own)) = (whole, of(context))
            && whole != own
        {
            let why = format!("pod hostProcess value must be identical if both are specified, was {whole}");
            context.get("windowsOptions").get("hostProcess").because(report, &why);
        }
    }
    let n_processes = contexts.iter().filter(|context| of(context).or(whole) == Some(true)).count();
    if n_processes == 0 {
        return;
    }
    if n_processes != contexts.len() {
        let why =
            "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        spec.because_of(report, "\"\"", why);
    }
    let network = spec.get("hostNetwork");
    if !network.is_true() {
        network.because_of(
            report,
            "false",
            "hostNetwork must be true if pod contains any hostProcess containers",
        );
    }
}
