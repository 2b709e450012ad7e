//! What the API server fills in where an object leaves it out (`pkg/apis/*/v1/defaults.go`), and what admission adds to Pods.
//! Objects are kept as they were written; whoever reads one gets it filled.
//!
//! *Simplified*: the volume with a Pod's token (`kube-api-access-…`) is not there.

use serde_json::{Map, Value, json};

/// Sets a field that is not there.
fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    if !object.is_object() {
        return;
    }
    if object[field].is_null() {
        object[field] = value.into();
    }
}

fn items<'v>(object: &'v mut Value, field: &str) -> impl Iterator<Item = &'v mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

fn text(object: &Value, field: &str) -> String {
    object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What was written as text is kept coded like the rest (`Secret.stringData`, which is only ever written).
fn secret(object: &mut Value) {
    use base64::Engine as _;
    set(object, "type", "Opaque");
    let Some(Value::Object(texts)) = object.as_object_mut().and_then(|fields| fields.remove("stringData"))
    else {
        return;
    };
    if !texts.is_empty() {
        set(object, "data", Map::new());
    }
    let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) else { return };
    for (key, text) in texts {
        let coded = base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap_or_default());
        data.insert(key, coded.into());
    }
}

/// Fills in an object as the API server does.
pub fn fill(object: &mut Value) {
    match text(object, "kind").as_str() {
        "Pod" => pod(object),
        "Service" => service(object),
        "Deployment" => deployment(object),
        "ReplicaSet" => {
            workload(object);
            set(&mut object["spec"], "replicas", 1);
        }
        "StatefulSet" => stateful_set(object),
        "DaemonSet" => daemon_set(object),
        "Job" => job(&mut object["spec"]),
        "CronJob" => {
            let spec = &mut object["spec"];
            set(spec, "concurrencyPolicy", "Allow");
            set(spec, "suspend", false);
            set(spec, "successfulJobsHistoryLimit", 3);
            set(spec, "failedJobsHistoryLimit", 1);
            if spec["jobTemplate"]["spec"].is_object() {
                template(&mut spec["jobTemplate"]["spec"]["template"]);
            }
        }
        "Secret" => secret(object),
        "NetworkPolicy" => network_policy(&mut object["spec"]),
        "LimitRange" => items(&mut object["spec"], "limits").for_each(limit_range_item),
        "PriorityClass" => set(object, "preemptionPolicy", "PreemptLowerPriority"),
        "HorizontalPodAutoscaler" => autoscaler(object),
        "PersistentVolumeClaim" => set(&mut object["spec"], "volumeMode", "Filesystem"),
        "PersistentVolume" => {
            set(&mut object["spec"], "persistentVolumeReclaimPolicy", "Retain");
            set(&mut object["spec"], "volumeMode", "Filesystem");
        }
        "StorageClass" => {
            set(object, "reclaimPolicy", "Delete");
            set(object, "volumeBindingMode", "Immediate");
        }
        "RoleBinding" | "ClusterRoleBinding" => binding(object),
        _ => {}
    }
}

/// A template of Pods.
pub fn template(template: &mut Value) {
    if !template.is_object() {
        return;
    }
    if template["spec"].is_object() {
        pod_spec(&mut template["spec"]);
    }
}

/// Of a container's amounts the default is the largest one, and what is asked for by default the default or the least
/// (`SetDefaults_LimitRangeItem`).
fn limit_range_item(item: &mut Value) {
    if item["type"] != json!("Container") {
        return;
    }
    for (field, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
        let Some(amounts) = item.get(from).and_then(Value::as_object).cloned() else { continue };
        set(item, field, json!({}));
        for (name, amount) in amounts {
            set(&mut item[field], &name, amount);
        }
    }
}

/// Bounds, what is measured, and, where a behaviour is written, the rest of its rules (`autoscaling/v2/defaults.go`).
fn autoscaler(object: &mut Value) {
    let is_current = text(object, "apiVersion") == "autoscaling/v2";
    let spec = &mut object["spec"];
    set(spec, "minReplicas", 1);
    if !is_current {
        return;
    }
    if spec.is_object() && spec["metrics"].as_array().is_none_or(Vec::is_empty) {
        let target = json!({ "type": "Utilization", "averageUtilization": 80 });
        spec["metrics"] = json!([{ "type": "Resource", "resource": { "name": "cpu", "target": target } }]);
    }
    if !spec["behavior"].is_object() {
        return;
    }
    let by_percent = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
    let by_number = json!({ "type": "Pods", "value": 4, "periodSeconds": 15 });
    let rules = [("scaleUp", json!([by_number, by_percent.clone()])), ("scaleDown", json!([by_percent]))];
    for (direction, policies) in rules {
        set(&mut spec["behavior"], direction, json!({}));
        let rules = &mut spec["behavior"][direction];
        set(rules, "selectPolicy", "Max");
        set(rules, "policies", policies);
        if direction == "scaleUp" {
            set(rules, "stabilizationWindowSeconds", 0);
        }
    }
}

/// The group of a role and of users (`rbac/v1/defaults.go`).
fn binding(object: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    set(&mut object["roleRef"], "apiGroup", GROUP);
    for subject in items(object, "subjects") {
        if matches!(text(subject, "kind").as_str(), "User" | "Group") {
            set(subject, "apiGroup", GROUP);
        }
    }
}

fn workload(object: &mut Value) {
    if object["spec"]["template"].is_object() {
        template(&mut object["spec"]["template"]);
    }
}

fn deployment(object: &mut Value) {
    workload(object);
    let spec = &mut object["spec"];
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    set(spec, "strategy", json!({}));
    let strategy = &mut spec["strategy"];
    set(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        set(strategy, "rollingUpdate", json!({}));
        set(&mut strategy["rollingUpdate"], "maxUnavailable", "25%");
        set(&mut strategy["rollingUpdate"], "maxSurge", "25%");
    }
}

fn stateful_set(object: &mut Value) {
    workload(object);
    let spec = &mut object["spec"];
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "podManagementPolicy", "OrderedReady");
    set(
        spec,
        "persistentVolumeClaimRetentionPolicy",
        json!({ "whenDeleted": "Retain", "whenScaled": "Retain" }),
    );
    set(spec, "updateStrategy", json!({}));
    let strategy = &mut spec["updateStrategy"];
    set(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        set(strategy, "rollingUpdate", json!({}));
        set(&mut strategy["rollingUpdate"], "partition", 0);
    }
}

fn daemon_set(object: &mut Value) {
    workload(object);
    let spec = &mut object["spec"];
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "updateStrategy", json!({}));
    let strategy = &mut spec["updateStrategy"];
    set(strategy, "type", "RollingUpdate");
    if text(strategy, "type") == "RollingUpdate" {
        set(strategy, "rollingUpdate", json!({}));
        set(&mut strategy["rollingUpdate"], "maxUnavailable", 1);
        set(&mut strategy["rollingUpdate"], "maxSurge", 0);
    }
}

fn job(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    template(&mut spec["template"]);
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    set(spec, "backoffLimit", 6);
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    set(spec, "podReplacementPolicy", "TerminatingOrFailed");
}

fn network_policy(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    let egress = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
    if spec["policyTypes"].as_array().is_none_or(Vec::is_empty) {
        spec["policyTypes"] = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    }
    for rules in ["ingress", "egress"] {
        for rule in items(spec, rules) {
            items(rule, "ports").for_each(|port| set(port, "protocol", "TCP"));
        }
    }
}

fn service(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    set(spec, "type", "ClusterIP");
    set(spec, "sessionAffinity", "None");
    let kind = text(spec, "type");
    for port in items(spec, "ports") {
        set(port, "protocol", "TCP");
        let number = port["port"].clone();
        if port["targetPort"].is_null() || port["targetPort"] == json!(0) || port["targetPort"] == json!("") {
            port["targetPort"] = number;
        }
    }
    if text(spec, "sessionAffinity") == "ClientIP" && spec["sessionAffinityConfig"].is_null() {
        spec["sessionAffinityConfig"] = json!({ "clientIP": { "timeoutSeconds": 10800 } });
    }
    if kind != "ExternalName" {
        set(spec, "internalTrafficPolicy", "Cluster");
        let families: Vec<&str> = match spec["clusterIPs"].as_array() {
            Some(ips) if !ips.is_empty() && ips[0] != json!("None") => {
                let of =
                    |ip: &Value| if ip.as_str().is_some_and(|ip| ip.contains(':')) { "IPv6" } else { "IPv4" };
                ips.iter().map(of).collect()
            }
            Some(_) | None => vec!["IPv4"],
        };
        // Without an address and a selector it may have endpoints of both (`initIPFamilyFields`).
        let has_none = spec["clusterIP"] == "None" || spec["clusterIPs"][0] == "None";
        let is_free = has_none && spec["selector"].as_object().is_none_or(Map::is_empty);
        let policy = if is_free || families.len() > 1 { "RequireDualStack" } else { "SingleStack" };
        set(spec, "ipFamilyPolicy", policy);
        let other = if spec["ipFamilies"][0] == "IPv6" { "IPv4" } else { "IPv6" };
        set(spec, "ipFamilies", json!(families));
        if is_free
            && spec["ipFamilyPolicy"] != "SingleStack"
            && let Some(all) = spec["ipFamilies"].as_array_mut().filter(|all| all.len() == 1)
        {
            all.push(json!(other));
        }
    }
    let outside = spec["externalIPs"].as_array().is_some_and(|ips| !ips.is_empty());
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || (outside && kind == "ClusterIP") {
        set(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
    set(object, "status", json!({}));
    set(&mut object["status"], "loadBalancer", json!({}));
}

fn pod(object: &mut Value) {
    if !object["spec"].is_object() {
        return;
    }
    let spec = &mut object["spec"];
    pod_spec(spec);
    // Admission: ServiceAccount, Priority, DefaultTolerationSeconds.
    set(spec, "enableServiceLinks", true);
    set(spec, "serviceAccountName", "default");
    let account = spec["serviceAccountName"].clone();
    set(spec, "serviceAccount", account);
    let priority = match text(spec, "priorityClassName").as_str() {
        "system-cluster-critical" => Some(2_000_000_000_i64),
        "system-node-critical" => Some(2_000_001_000),
        "" => Some(0),
        _ => None,
    };
    if let Some(priority) = priority {
        set(spec, "priority", priority);
    }
    set(spec, "preemptionPolicy", "PreemptLowerPriority");
    let tolerated = |tolerations: &[Value], key: &str| {
        tolerations.iter().any(|one| {
            let effect = text(one, "effect");
            let own = text(one, "key");
            (own == key || (own.is_empty() && text(one, "operator") == "Exists"))
                && (effect.is_empty() || effect == "NoExecute")
        })
    };
    let mut tolerations = spec["tolerations"].as_array().cloned().unwrap_or_default();
    let written = tolerations.clone();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if !tolerated(&written, key) {
            tolerations.push(
                json!({ "effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300 }),
            );
        }
    }
    spec["tolerations"] = Value::Array(tolerations);
}

fn pod_spec(spec: &mut Value) {
    set(spec, "dnsPolicy", "ClusterFirst");
    set(spec, "restartPolicy", "Always");
    set(spec, "schedulerName", "default-scheduler");
    set(spec, "securityContext", json!({}));
    set(spec, "terminationGracePeriodSeconds", 30);
    let own_network = spec["hostNetwork"] == json!(true);
    for list in ["initContainers", "containers"] {
        items(spec, list).for_each(|one| container(one, own_network));
    }
    for volume in items(spec, "volumes") {
        self::volume(volume);
    }
}

fn volume(volume: &mut Value) {
    for source in ["configMap", "secret", "projected", "downwardAPI"] {
        if volume[source].is_object() {
            set(&mut volume[source], "defaultMode", 420);
        }
    }
    if volume["hostPath"].is_object() {
        set(&mut volume["hostPath"], "type", "");
    }
    if let Some(fields) = volume.as_object_mut() {
        // A volume without a source is an empty directory.
        if fields.len() == 1 && fields.contains_key("name") {
            fields.insert("emptyDir".to_owned(), Value::Object(Map::new()));
        }
    }
}

fn container(container: &mut Value, own_network: bool) {
    let image = text(container, "image");
    let tag = image.rsplit('/').next().unwrap_or("").split_once(':').map(|(_, tag)| tag);
    let latest = !image.contains('@') && matches!(tag, None | Some("latest"));
    set(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    set(container, "resources", json!({}));
    set(container, "terminationMessagePath", "/dev/termination-log");
    set(container, "terminationMessagePolicy", "File");
    for port in items(container, "ports") {
        set(port, "protocol", "TCP");
        let number = port["containerPort"].clone();
        if own_network {
            set(port, "hostPort", number);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container.get(name).is_some_and(Value::is_object) {
            probe(&mut container[name]);
        }
    }
    for hook in ["postStart", "preStop"] {
        if container.pointer(&format!("/lifecycle/{hook}/httpGet")).is_some() {
            set(&mut container["lifecycle"][hook]["httpGet"], "scheme", "HTTP");
        }
    }
    for variable in items(container, "env") {
        if variable.pointer("/valueFrom/fieldRef").is_some() {
            set(&mut variable["valueFrom"]["fieldRef"], "apiVersion", "v1");
        }
    }
    // What is asked for at least is what is allowed at most, where nothing else is said.
    let limits =
        container.pointer("/resources/limits").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, limit) in limits {
        set(&mut container["resources"], "requests", json!({}));
        set(&mut container["resources"]["requests"], &name, limit);
    }
}

fn probe(probe: &mut Value) {
    set(probe, "failureThreshold", 3);
    set(probe, "periodSeconds", 10);
    set(probe, "successThreshold", 1);
    set(probe, "timeoutSeconds", 1);
    if probe["httpGet"].is_object() {
        set(&mut probe["httpGet"], "path", "/");
        set(&mut probe["httpGet"], "scheme", "HTTP");
    }
}
