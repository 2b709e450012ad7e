//! The status that a Node has from its kubelet and from the node controller.

use super::NodeRow;
use crate::base::{Duration, SimTime};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The release of Kubernetes whose behaviour is simulated.
pub const KUBERNETES: &str = "v1.35.0";

/// How long a node may be silent before it counts as lost (`--node-monitor-grace-period`, 50 s since Kubernetes 1.32).
pub const NODE_MONITOR_GRACE: Duration = Duration::from_secs(50);

/// The release of Linux whose behaviour is simulated.
pub const KERNEL_RELEASE: &str = "6.18.0";

/// Name, reason and message of the conditions of a node whose kubelet reports (`pkg/kubelet/nodestatus/setters.go`).
const CONDITIONS: [(&str, &str, &str, &str); 4] = [
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
];

impl NodeRow {
    /// Writes into a Node object what became of it. What its text says of the status stays, conditions as long as the
    /// node is well here.
    pub fn overlay(&self, value: &mut Value) {
        let status = &mut value["status"];
        if !status.is_object() {
            *status = json!({});
        }
        // A status that says how a node is tells of some other machine, of which only the release is known; amounts alone
        // are wished for this one.
        let is_other = ["addresses", "conditions", "nodeInfo"].iter().any(|field| !status[field].is_null());
        if status["addresses"].as_array().is_none_or(Vec::is_empty) {
            status["addresses"] = json!([
                { "type": "InternalIP", "address": self.address.to_string() },
                { "type": "Hostname", "address": &*self.name },
            ]);
        }
        if !self.ready || status["conditions"].is_null() {
            status["conditions"] = CONDITIONS.iter().map(|one| self.condition(one)).collect();
        }
        let info = &mut status["nodeInfo"];
        for (field, text) in self.system() {
            if info[field].is_null() && (!is_other || field == "kubeletVersion") {
                info[field] = json!(text);
            }
        }
    }

    fn condition(&self, (kind, status, reason, message): &(&str, &str, &str, &str)) -> Value {
        // The node controller writes the same of all conditions that nobody reports any more.
        let (status, reason, message) = if self.ready {
            (*status, *reason, *message)
        } else {
            ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
        };
        let own = *kind == "Ready" || !self.ready;
        let since = if own { self.transitioned } else { self.created };
        json!({
            "type": kind,
            "status": status,
            "lastTransitionTime": since.rfc3339(),
            "reason": reason,
            "message": message,
        })
    }

    /// `status.nodeInfo`: what is simulated, on a machine made up.
    fn system(&self) -> [(&'static str, String); 9] {
        let id = |what: &str| HEXLOWER.encode(&Sha256::digest(format!("{what} {}", self.name))[..16]);
        let uuid = |what: &str| {
            let id = id(what);
            format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
        };
        [
            ("machineID", id("machine")),
            ("systemUUID", uuid("system")),
            ("bootID", uuid("boot")),
            ("kernelVersion", KERNEL_RELEASE.to_owned()),
            ("osImage", "Debian GNU/Linux 12 (bookworm)".to_owned()),
            ("containerRuntimeVersion", "containerd://2.2.0".to_owned()),
            ("kubeletVersion", KUBERNETES.to_owned()),
            ("operatingSystem", "linux".to_owned()),
            ("architecture", "amd64".to_owned()),
        ]
    }

    /// When the node's lease was last renewed: the kubelet does so every ten seconds (a quarter of
    /// `nodeLeaseDurationSeconds`).
    pub fn renewed(&self, now: SimTime) -> SimTime {
        self.last_of_every(Duration::from_secs(10), now)
    }

    /// When the kubelet last wrote the node's status: without a change it does so every five minutes
    /// (`nodeStatusReportFrequency`).
    pub fn reported(&self, now: SimTime) -> SimTime {
        self.last_of_every(Duration::from_secs(300), now)
    }

    /// The last moment of a regular report; it was a grace period ago when the node was found silent.
    fn last_of_every(&self, interval: Duration, now: SimTime) -> SimTime {
        let found = self.transitioned.0.saturating_sub(NODE_MONITOR_GRACE.0);
        let last = if self.ready { now.0 } else { found };
        let begun = if self.ready { self.transitioned.0 } else { self.created.0 };
        SimTime(begun + last.saturating_sub(begun) / interval.0 * interval.0)
    }
}
