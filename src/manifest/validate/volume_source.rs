//! Where the files of a volume come from, of a Pod's own volumes and of `PersistentVolumes` (`validateVolumeSource`,
//! `ValidatePersistentVolumeSpec` and the functions that both call).

use super::cursor::{Cursor, quoted};
use super::names;
use crate::manifest::report::Report;

/// Kinds of files on the node that a `hostPath` may ask for; the empty one asks for nothing.
const HOST_PATHS: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
/// What an iSCSI name begins with.
const ISCSI_NAMES: [&str; 3] = ["iqn", "eui", "naa"];
const HOST_PORTS: &str = "must be a host:port pair or multiple pairs separated by commas";

/// Fields that a source cannot do without, where that is all that the API server looks at.
fn needed(kind: &str) -> &'static [&'static str] {
    match kind {
        "glusterfs" => &["endpoints", "path"],
        "rbd" => &["monitors", "image"],
        "cephfs" => &["monitors"],
        "cinder" | "portworxVolume" => &["volumeID"],
        "azureFile" => &["secretName", "shareName"],
        "vsphereVolume" => &["volumePath"],
        "photonPersistentDisk" => &["pdID"],
        "scaleIO" => &["gateway", "system", "volumeName"],
        "persistentVolumeClaim" => &["claimName"],
        _ => &[],
    }
}

/// Where the API server says that a source is one too many: two of the names are not those of the fields.
pub(super) fn misnamed(kind: &str) -> &str {
    match kind {
        "downwardAPI" => "downwarAPI",
        "cephfs" => "cephFS",
        kind => kind,
    }
}

/// A source that Pods and `PersistentVolumes` both know.
pub(super) fn validate(source: &Cursor<'_>, is_persistent: bool, report: &mut Report<'_>) {
    let kind = source.name();
    match &*kind {
        "hostPath" | "local" => node_path(source, report),
        "nfs" => nfs(source, report),
        "csi" => csi(source, is_persistent, report),
        "gcePersistentDisk" | "awsElasticBlockStore" => cloud_disk(source, report),
        "iscsi" => iscsi(source, is_persistent, report),
        "fc" => fibre_channel(source, report),
        "flexVolume" => flex(source, report),
        "flocker" => flocker(source, report),
        "quobyte" => quobyte(source, report),
        "azureDisk" => azure_disk(source, report),
        "storageos" => storage_os(source, report),
        kind => require(source, needed(kind), report),
    }
    let secret = source.get("secretRef");
    let has_named_secret = matches!(&*kind, "cinder" | "storageos") || (kind == "iscsi" && is_persistent);
    if has_named_secret && secret.is_set() {
        let is_whole = is_persistent && kind != "iscsi";
        require(&secret, if is_whole { &["name", "namespace"] } else { &["name"] }, report);
    }
    let namespace = source.get("secretNamespace");
    if kind == "azureFile" && namespace.is_set() && namespace.text().is_empty() {
        namespace.required(report);
    }
    let endpoints = source.get("endpointsNamespace");
    if kind == "glusterfs" && endpoints.is_set() {
        if endpoints.text().is_empty() {
            endpoints.because(report, "if the endpointnamespace is set, it must be a valid namespace name");
        } else {
            endpoints.invalid(report, names::dns_label(endpoints.text()));
        }
    }
}

/// `Required value` for each field that is empty.
pub(super) fn require(source: &Cursor<'_>, fields: &[&'static str], report: &mut Report<'_>) {
    for field in fields.iter().map(|field| source.get(field)) {
        if field.text().is_empty() && field.len() == 0 {
            field.required(report);
        }
    }
}

fn node_path(source: &Cursor<'_>, report: &mut Report<'_>) {
    let path = source.get("path");
    if path.text().is_empty() {
        return path.required(report);
    }
    if path.text().split('/').any(|part| part == "..") {
        path.because(report, "must not contain '..'");
    }
    if source.name() == "hostPath" {
        source.get("type").one_of(report, &HOST_PATHS);
    }
}

fn nfs(source: &Cursor<'_>, report: &mut Report<'_>) {
    require(source, &["server", "path"], report);
    let path = source.get("path");
    if !path.text().starts_with('/') {
        path.because_of(report, &quoted(path.text()), "must be an absolute path");
    }
}

/// `ValidateCSIDriverName`, and the secrets.
fn csi(source: &Cursor<'_>, is_persistent: bool, report: &mut Report<'_>) {
    let driver = source.get("driver");
    let name = driver.text();
    if name.is_empty() {
        driver.required(report);
    }
    if name.len() > 63 {
        report.error(&driver.path(), "invalid.config-size", Some("invalid.because.hint"), &["63"]);
    }
    driver.faulty(report, &quoted(name), names::dns_subdomain(&name.to_lowercase()));
    if !is_persistent {
        let secret = source.get("nodePublishSecretRef");
        let name = secret.get("name");
        if secret.is_set() && name.text().is_empty() {
            name.required(report);
        } else if secret.is_set() {
            let path = format!("{}.name", source.path());
            for fault in names::dns_subdomain(name.text()) {
                name.because_at(report, &path, (&name.shown(), &super::cursor::sentence(&fault)));
            }
        }
        return;
    }
    require(source, &["volumeHandle"], report);
    let secrets = [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ];
    for secret in secrets.map(|field| source.get(field)).iter().filter(|secret| secret.is_set()) {
        require(secret, &["name"], report);
        let (name, namespace) = (secret.get("name"), secret.get("namespace"));
        if !name.text().is_empty() {
            name.invalid(report, names::dns_subdomain(name.text()));
        }
        require(secret, &["namespace"], report);
        if !namespace.text().is_empty() {
            namespace.invalid(report, names::dns_label(namespace.text()));
        }
    }
}

/// A disk of a cloud. The API server calls that of Google `persistentDisk`.
fn cloud_disk(source: &Cursor<'_>, report: &mut Report<'_>) {
    let is_google = source.name() == "gcePersistentDisk";
    let path = source.path();
    let path = if is_google { path.replace("gcePersistentDisk", "persistentDisk") } else { path };
    let name = if is_google { "pdName" } else { "volumeID" };
    let (id, partition) = (source.get(name), source.get("partition"));
    if id.text().is_empty() {
        let at = format!("{path}.{name}");
        report.error_near((&id.path(), &at), "invalid.required", "invalid.required.hint", &[name]);
    }
    if !(0..=255).contains(&partition.number()) {
        let at = format!("{path}.partition");
        partition.because_at(report, &at, (&partition.shown(), "must be between 1 and 255, inclusive"));
    }
}

/// Whether a text is an iSCSI name of its kind: RFC 3721 for `iqn`, sixteen or thirty-two letters and digits otherwise.
fn is_iscsi_name(name: &str) -> bool {
    let plain = |rest: &str, length: usize| {
        rest.len() == length && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match name.get(..4) {
        Some("eui.") => plain(&name[4..], 16),
        Some("naa.") => plain(&name[4..], 32),
        Some("iqn.") => {
            let mut parts = name[4..].splitn(2, '.');
            let date = parts.next().unwrap_or("");
            let is_date = date.len() == 7
                && date
                    .bytes()
                    .enumerate()
                    .all(|(at, byte)| (at == 4) == (byte == b'-') || byte.is_ascii_digit());
            let rest = parts.next().and_then(|rest| rest.split_once(':'));
            let is_right = |(domain, target): (&str, &str)| {
                let of_domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
                let odd = |c: char| c.is_whitespace() || ",;*&$|".contains(c);
                !domain.is_empty()
                    && domain.bytes().all(of_domain)
                    && !target.is_empty()
                    && !target.contains(odd)
            };
            is_date && rest.is_some_and(is_right)
        }
        Some(_) | None => false,
    }
}

fn iscsi(source: &Cursor<'_>, is_persistent: bool, report: &mut Report<'_>) {
    require(source, &["targetPortal"], report);
    let begins = |name: &str| ISCSI_NAMES.iter().any(|prefix| name.starts_with(prefix));
    let odd = if is_persistent {
        "must be valid format"
    } else {
        "must be valid format starting with iqn, eui, or naa"
    };
    let iqn = source.get("iqn");
    if iqn.text().is_empty() {
        iqn.required(report);
    } else if !begins(iqn.text()) {
        iqn.because(report, odd);
    } else if !is_iscsi_name(iqn.text()) {
        iqn.because(report, "must be valid format");
    }
    lun(&source.get("lun"), report);
    let is_asked = |field: &str| source.get(field).is_true();
    let secret = source.get("secretRef");
    if (is_asked("chapAuthDiscovery") || is_asked("chapAuthSession")) && !secret.is_set() {
        secret.required(report);
    }
    let initiator = source.get("initiatorName");
    if initiator.is_set() && !is_iscsi_name(initiator.text()) {
        let path = format!("{}.initiatorname", source.path());
        let why = if begins(initiator.text()) { "must be valid format" } else { odd };
        initiator.because_at(report, &path, (&initiator.shown(), why));
    }
}

fn lun(lun: &Cursor<'_>, report: &mut Report<'_>) {
    if !(0..=255).contains(&lun.number()) {
        lun.because(report, "must be between 0 and 255, inclusive");
    }
}

fn fibre_channel(source: &Cursor<'_>, report: &mut Report<'_>) {
    let (names, ids) = (source.get("targetWWNs"), source.get("wwids"));
    if names.len() == 0 && ids.len() == 0 {
        names.required_because(report, "must specify either targetWWNs or wwids, but not both");
    }
    if names.len() > 0 && ids.len() > 0 {
        names.because(report, "targetWWNs and wwids can not be specified simultaneously");
    }
    let number = source.get("lun");
    if names.len() > 0 && !number.is_set() {
        number.required_because(report, "lun is required if targetWWNs is specified");
    } else if names.len() > 0 {
        lun(&number, report);
    }
}

fn flex(source: &Cursor<'_>, report: &mut Report<'_>) {
    require(source, &["driver"], report);
    for (key, value) in source.get("options").entries() {
        let domain = format!(".{}", key.split('/').next().unwrap_or("").to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            value.because_of(report, &quoted(key), "kubernetes.io and k8s.io namespaces are reserved");
        }
    }
}

fn flocker(source: &Cursor<'_>, report: &mut Report<'_>) {
    let (name, id) = (source.get("datasetName"), source.get("datasetUUID"));
    match (name.text().is_empty(), id.text().is_empty()) {
        (true, true) => source.required_because(report, "one of datasetName and datasetUUID is required"),
        (false, false) => {
            let why = "datasetName and datasetUUID can not be specified simultaneously";
            source.because_of(report, "\"resource\"", why);
        }
        (true, false) | (false, true) => {}
    }
    if name.text().contains('/') {
        name.because(report, "must not contain '/'");
    }
}

fn quobyte(source: &Cursor<'_>, report: &mut Report<'_>) {
    let (registry, tenant) = (source.get("registry"), source.get("tenant"));
    if registry.text().is_empty() {
        registry.required_because(report, HOST_PORTS);
    } else if tenant.text().len() >= 65 {
        tenant.required_because(report, "must be a UUID and may not exceed a length of 64 characters");
    } else {
        for _ in registry.text().split(',').filter(|pair| pair.matches(':').count() != 1) {
            registry.because(report, HOST_PORTS);
        }
    }
    require(source, &["volume"], report);
}

fn azure_disk(source: &Cursor<'_>, report: &mut Report<'_>) {
    require(source, &["diskName", "diskURI"], report);
    source.get("cachingMode").one_of(report, &["None", "ReadOnly", "ReadWrite"]);
    let (kind, uri) = (source.get("kind"), source.get("diskURI"));
    kind.one_of(report, &["Dedicated", "Managed", "Shared"]);
    let (begin, form) = match kind.text() {
        _ if !kind.is_set() => return,
        "Managed" => (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ),
        _ => ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"),
    };
    if !uri.text().starts_with(begin) {
        uri.fault(report, "invalid.unsupported", "invalid.unsupported.hint", &[&quoted(form)]);
    }
}

fn storage_os(source: &Cursor<'_>, report: &mut Report<'_>) {
    let (name, namespace) = (source.get("volumeName"), source.get("volumeNamespace"));
    if name.text().is_empty() {
        name.required(report);
    } else {
        name.invalid(report, names::dns_label(name.text()));
    }
    if !namespace.text().is_empty() {
        namespace.invalid(report, names::dns_label(namespace.text()));
    }
}

#[cfg(test)]
mod tests {
    use super::is_iscsi_name;

    #[test]
    fn names_of_iscsi_have_the_form_of_their_kind() {
        for right in [
            "iqn.2001-04.com.example:storage.disk1",
            "eui.0123456789abcdef",
            "naa.0123456789abcdef0123456789abcdef",
        ] {
            assert!(is_iscsi_name(right), "{right}");
        }
        for wrong in ["iqn.2001-04.com.example", "iqn.200-04.a:b", "eui.01", "naa.", "abc"] {
            assert!(!is_iscsi_name(wrong), "{wrong}");
        }
    }
}
