//! Where volumes come from, those of Pods and `PersistentVolumes`.

use super::{line, storage};
use crate::shell::kubectl::json::{at, entries, list, number, or, plain, text};
use serde_json::Value;

/// How a field is written, and what stands there without it.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    TextOr(&'static str),
    Flag,
    Number,
    List,
    Map,
    /// A reference to a Secret: Go's text of the pointer, of a type of this name.
    Reference(&'static str),
    /// Names joined by commas.
    Joined,
}

use Shape::{Flag, Joined, List, Map, Number, Reference, Text, TextOr};

type Row = (&'static str, &'static str, Shape);
type Source = (&'static str, &'static str, &'static [Row]);

const LOCAL: Shape = Reference("LocalObjectReference");
const ANYWHERE: Shape = Reference("SecretReference");
const FS_TYPE: Row = ("FSType:", "fsType", Text);
const READ_ONLY: Row = ("ReadOnly:", "readOnly", Flag);

/// Sources of `PersistentVolumes` that say more than those of Pods.
const PERSISTENT: [Source; 9] = [
    (
        "glusterfs",
        "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        &[
            ("EndpointsName:", "endpoints", Text),
            ("EndpointsNamespace:", "endpointsNamespace", TextOr("<unset>")),
            ("Path:", "path", Text),
            READ_ONLY,
        ],
    ),
    (
        "scaleIO",
        "ScaleIO (a persistent volume backed by a block device in ScaleIO)",
        &[
            ("Gateway:", "gateway", Text),
            ("System:", "system", Text),
            ("Protection Domain:", "protectionDomain", Text),
            ("Storage Pool:", "storagePool", Text),
            ("Storage Mode:", "storageMode", TextOr("ThinProvisioned")),
            ("VolumeName:", "volumeName", Text),
            ("SecretName:", "secretRef.name", Text),
            ("SecretNamespace:", "secretRef.namespace", Text),
            ("FSType:", "fsType", TextOr("xfs")),
            READ_ONLY,
        ],
    ),
    (
        "azureFile",
        "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        &[
            ("SecretName:", "secretName", Text),
            ("SecretNamespace:", "secretNamespace", Text),
            ("ShareName:", "shareName", Text),
            READ_ONLY,
        ],
    ),
    (
        "csi",
        "CSI (a Container Storage Interface (CSI) volume source)",
        &[("Driver:", "driver", Text), FS_TYPE, ("VolumeHandle:", "volumeHandle", Text), READ_ONLY],
    ),
    ("iscsi", ISCSI, &iscsi(ANYWHERE)),
    ("rbd", RBD, &rbd(ANYWHERE)),
    ("cephfs", CEPHFS, &cephfs(ANYWHERE)),
    ("cinder", CINDER, &cinder(ANYWHERE)),
    ("flexVolume", FLEX, &flex(ANYWHERE)),
];

const ISCSI: &str = "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to \
    the pod)";
const RBD: &str = "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)";
const CEPHFS: &str = "CephFS (a CephFS mount on the host that shares a pod's lifetime)";
const CINDER: &str = "Cinder (a Persistent Disk resource in OpenStack)";
const FLEX: &str =
    "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)";

const fn iscsi(reference: Shape) -> [Row; 11] {
    [
        ("TargetPortal:", "targetPortal", Text),
        ("IQN:", "iqn", Text),
        ("Lun:", "lun", Number),
        // Without a colon in kubectl too.
        ("ISCSIInterface", "iscsiInterface", TextOr("default")),
        FS_TYPE,
        READ_ONLY,
        ("Portals:", "portals", List),
        ("DiscoveryCHAPAuth:", "chapAuthDiscovery", Flag),
        ("SessionCHAPAuth:", "chapAuthSession", Flag),
        ("SecretRef:", "secretRef", reference),
        ("InitiatorName:", "initiatorName", TextOr("<none>")),
    ]
}

const fn rbd(reference: Shape) -> [Row; 8] {
    [
        ("CephMonitors:", "monitors", List),
        ("RBDImage:", "image", Text),
        FS_TYPE,
        ("RBDPool:", "pool", TextOr("rbd")),
        ("RadosUser:", "user", TextOr("admin")),
        ("Keyring:", "keyring", TextOr("/etc/ceph/keyring")),
        ("SecretRef:", "secretRef", reference),
        READ_ONLY,
    ]
}

const fn cephfs(reference: Shape) -> [Row; 6] {
    [
        ("Monitors:", "monitors", List),
        ("Path:", "path", Text),
        ("User:", "user", Text),
        ("SecretFile:", "secretFile", Text),
        ("SecretRef:", "secretRef", reference),
        READ_ONLY,
    ]
}

const fn cinder(reference: Shape) -> [Row; 4] {
    [("VolumeID:", "volumeID", Text), FS_TYPE, READ_ONLY, ("SecretRef:", "secretRef", reference)]
}

const fn flex(reference: Shape) -> [Row; 5] {
    [
        ("Driver:", "driver", Text),
        FS_TYPE,
        ("SecretRef:", "secretRef", reference),
        READ_ONLY,
        ("Options:", "options", Map),
    ]
}

const OPTIONAL: Row = ("Optional:", "optional", Flag);

const SOURCES: [Source; 27] = [
    (
        "hostPath",
        "HostPath (bare host directory volume)",
        &[("Path:", "path", Text), ("HostPathType:", "type", Text)],
    ),
    (
        "gcePersistentDisk",
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        &[("PDName:", "pdName", Text), FS_TYPE, ("Partition:", "partition", Number), READ_ONLY],
    ),
    (
        "awsElasticBlockStore",
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        &[("VolumeID:", "volumeID", Text), FS_TYPE, ("Partition:", "partition", Number), READ_ONLY],
    ),
    (
        "gitRepo",
        "GitRepo (a volume that is pulled from git when the pod is created)",
        &[("Repository:", "repository", Text), ("Revision:", "revision", Text)],
    ),
    ("secret", "Secret (a volume populated by a Secret)", &[("SecretName:", "secretName", Text), OPTIONAL]),
    ("configMap", "ConfigMap (a volume populated by a ConfigMap)", &[("Name:", "name", Text), OPTIONAL]),
    (
        "nfs",
        "NFS (an NFS mount that lasts the lifetime of a pod)",
        &[("Server:", "server", Text), ("Path:", "path", Text), READ_ONLY],
    ),
    ("iscsi", ISCSI, &iscsi(LOCAL)),
    (
        "glusterfs",
        "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        &[("EndpointsName:", "endpoints", Text), ("Path:", "path", Text), READ_ONLY],
    ),
    (
        "persistentVolumeClaim",
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        &[("ClaimName:", "claimName", Text), READ_ONLY],
    ),
    ("rbd", RBD, &rbd(LOCAL)),
    (
        "quobyte",
        "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)",
        &[("Registry:", "registry", Text), ("Volume:", "volume", Text), READ_ONLY],
    ),
    (
        "azureDisk",
        "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        &[
            ("DiskName:", "diskName", Text),
            ("DiskURI:", "diskURI", Text),
            ("Kind: ", "kind", TextOr("Shared")),
            ("FSType:", "fsType", TextOr("ext4")),
            ("CachingMode:", "cachingMode", TextOr("ReadWrite")),
            READ_ONLY,
        ],
    ),
    (
        "vsphereVolume",
        "vSphereVolume (a Persistent Disk resource in vSphere)",
        &[("VolumePath:", "volumePath", Text), FS_TYPE, ("StoragePolicyName:", "storagePolicyName", Text)],
    ),
    ("cinder", CINDER, &cinder(LOCAL)),
    (
        "photonPersistentDisk",
        "PhotonPersistentDisk (a Persistent Disk resource in photon platform)",
        &[("PdID:", "pdID", Text), FS_TYPE],
    ),
    ("portworxVolume", "PortworxVolume (a Portworx Volume resource)", &[("VolumeID:", "volumeID", Text)]),
    (
        "scaleIO",
        "ScaleIO (a persistent volume backed by a block device in ScaleIO)",
        &[
            ("Gateway:", "gateway", Text),
            ("System:", "system", Text),
            ("Protection Domain:", "protectionDomain", Text),
            ("Storage Pool:", "storagePool", Text),
            ("Storage Mode:", "storageMode", TextOr("ThinProvisioned")),
            ("VolumeName:", "volumeName", Text),
            ("FSType:", "fsType", TextOr("xfs")),
            READ_ONLY,
        ],
    ),
    (
        "local",
        "LocalVolume (a persistent volume backed by local storage on a node)",
        &[("Path:", "path", Text)],
    ),
    ("cephfs", CEPHFS, &cephfs(LOCAL)),
    (
        "storageos",
        "StorageOS (a StorageOS Persistent Disk resource)",
        &[
            ("VolumeName:", "volumeName", Text),
            ("VolumeNamespace:", "volumeNamespace", Text),
            FS_TYPE,
            READ_ONLY,
        ],
    ),
    (
        "fc",
        "FC (a Fibre Channel disk)",
        &[("TargetWWNs:", "targetWWNs", Joined), ("LUN:", "lun", TextOr("<none>")), FS_TYPE, READ_ONLY],
    ),
    (
        "azureFile",
        "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        &[("SecretName:", "secretName", Text), ("ShareName:", "shareName", Text), READ_ONLY],
    ),
    ("flexVolume", FLEX, &flex(LOCAL)),
    (
        "flocker",
        "Flocker (a Flocker volume mounted by the Flocker agent)",
        &[("DatasetName:", "datasetName", Text), ("DatasetUUID:", "datasetUUID", Text)],
    ),
    (
        "csi",
        "CSI (a Container Storage Interface (CSI) volume source)",
        &[("Driver:", "driver", Text), FS_TYPE, READ_ONLY],
    ),
    (
        "image",
        "Image (a container image or OCI artifact)",
        &[("Reference:", "reference", Text), ("PullPolicy:", "pullPolicy", Text)],
    ),
];

impl Shape {
    fn shown(self, value: &Value) -> String {
        let values = || value.as_array().into_iter().flatten().map(plain).collect::<Vec<_>>();
        match self {
            Text if value.is_null() => String::new(),
            Text => plain(value),
            TextOr(otherwise) if value.is_null() => otherwise.to_owned(),
            TextOr(otherwise) => or(&plain(value), otherwise),
            Flag => (*value == true).to_string(),
            Number => value.as_i64().unwrap_or(0).to_string(),
            List => format!("[{}]", values().join(" ")),
            Joined => values().join(", "),
            Map => {
                let pairs = value.as_object().into_iter().flatten();
                let mut pairs: Vec<String> =
                    pairs.map(|(key, value)| format!("{key}:{}", plain(value))).collect();
                pairs.sort();
                format!("map[{}]", pairs.join(" "))
            }
            Reference(_) if value.is_null() => "nil".to_owned(),
            Reference("LocalObjectReference") => {
                format!("&LocalObjectReference{{Name:{},}}", text(value, "name"))
            }
            Reference(name) => {
                format!("&{name}{{Name:{},Namespace:{},}}", text(value, "name"), text(value, "namespace"))
            }
        }
    }
}

/// The source among the fields of a `PersistentVolume`'s `spec`.
pub(super) fn of_persistent(spec: &Value, out: &mut String) {
    let known = PERSISTENT.iter().chain(&SOURCES).find(|(field, ..)| spec.get(field).is_some());
    let Some(known) = known else { return line(out, "  <unknown>") };
    rows(spec, known, out);
}

/// The source of a Pod's volume (`describeVolumes`).
pub(super) fn of_pod(volume: &Value, out: &mut String) {
    if let Some(known) = SOURCES.iter().find(|(field, ..)| volume.get(field).is_some()) {
        return rows(volume, known, out);
    }
    let has = |field: &str| volume.get(field).is_some();
    if has("ephemeral") {
        line(
            out,
            "    Type:\tEphemeralVolume (an inline specification for a volume that gets created and deleted with the \
             pod)",
        );
        storage::claim_template(at(volume, "ephemeral.volumeClaimTemplate"), out);
    } else if has("downwardAPI") {
        line(out, "    Type:\tDownwardAPI (a volume populated by information about the pod)\n    Items:");
        for item in list(volume, "downwardAPI.items") {
            let field = or(text(item, "fieldRef.fieldPath"), text(item, "resourceFieldRef.resource"));
            line(out, &format!("      {field} -> {}", text(item, "path")));
        }
    } else if has("projected") {
        line(out, "    Type:\tProjected (a volume that contains injected data from multiple sources)");
        for source in list(volume, "projected.sources") {
            projected(source, out);
        }
    } else if has("emptyDir") || volume.as_object().is_some_and(|fields| fields.len() == 1) {
        let limit = at(volume, "emptyDir.sizeLimit");
        let limit = if limit.is_null() || plain(limit) == "0" { "<unset>".to_owned() } else { plain(limit) };
        line(out, "    Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)");
        line(out, &format!("    Medium:\t{}\n    SizeLimit:\t{limit}", text(volume, "emptyDir.medium")));
    } else {
        line(out, "  <unknown>");
    }
}

fn projected(source: &Value, out: &mut String) {
    let mut named = |title: &str, source: &Value| {
        let optional = *at(source, "optional") == true;
        line(out, &format!("    {title}:\t{}\n    Optional:\t{optional}", text(source, "name")));
    };
    if let Some(secret) = source.get("secret") {
        named("SecretName", secret);
    } else if source.get("downwardAPI").is_some() {
        line(out, "    DownwardAPI:\ttrue");
    } else if let Some(map) = source.get("configMap") {
        named("ConfigMapName", map);
    } else if let Some(token) = source.get("serviceAccountToken") {
        let secs =
            if token.get("expirationSeconds").is_some() { number(token, "expirationSeconds") } else { 3600 };
        line(out, &format!("    TokenExpirationSeconds:\t{secs}"));
    }
}

fn rows(holder: &Value, (field, kind, rows): &Source, out: &mut String) {
    let source = at(holder, field);
    line(out, &format!("    Type:\t{kind}"));
    for (title, path, shape) in *rows {
        line(out, &format!("    {title}\t{}", shape.shown(at(source, path))));
    }
    if *field == "csi" {
        attributes(source, out);
    }
}

/// `printCSIPersistentVolumeAttributesMultiline`, whose every part is indented again.
fn attributes(source: &Value, out: &mut String) {
    /// `maxAnnotationLen`.
    const LONGEST: usize = 140;
    let pairs = entries(source, "volumeAttributes");
    if pairs.is_empty() {
        return line(out, "    VolumeAttributes:\t<none>");
    }
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        let title = if index == 0 { "    VolumeAttributes:" } else { "        " };
        let mut pair = format!("{key}={}", plain(value));
        if pair.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|end| pair.is_char_boundary(*end)).unwrap_or(0);
            pair.truncate(end);
            pair.push_str("...");
        }
        line(out, &format!("{title}\t    {pair}"));
    }
}
