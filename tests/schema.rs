//! The compact schema in `src/manifest/schema/kubernetes.txt` is generated here from the API's own types, and this
//! test holds it current; `UPDATE_EXPECT=1` writes it anew.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

use k8s_openapi::Resource;
use k8s_openapi::api::{
    apps, autoscaling, batch, coordination, core, discovery, networking, policy, rbac, scheduling, storage,
};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use vethscope::api::Object;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/manifest/schema/kubernetes.txt");

/// Fields that the schema calls required, while the API server takes their absence for the zero value, and says what is
/// wrong with that.
const NOT_REQUIRED: [&str; 49] = [
    "v1.ControllerRevision.data",
    "v1.NetworkPolicySpec.podSelector",
    "v1.EndpointSlice.endpoints",
    "v1.HTTPHeader.value",
    "v1.RoleRef.apiGroup",
    "v1.ServicePort.port",
    "v1.EndpointPort.port",
    "v1.EndpointAddress.ip",
    "v1.HostAlias.ip",
    "v1.PodAffinityTerm.topologyKey",
    "v1.TopologySpreadConstraint.topologyKey",
    "v1.TopologySpreadConstraint.maxSkew",
    "v1.TopologySpreadConstraint.whenUnsatisfiable",
    "v1.NodeSelector.nodeSelectorTerms",
    "v1.SeccompProfile.type",
    "v1.LabelSelectorRequirement.key",
    "v1.LabelSelectorRequirement.operator",
    "v1.NodeSelectorRequirement.key",
    "v1.NodeSelectorRequirement.operator",
    "v1.PreferredSchedulingTerm.weight",
    "v1.PreferredSchedulingTerm.preference",
    "v1.WeightedPodAffinityTerm.weight",
    "v1.WeightedPodAffinityTerm.podAffinityTerm",
    "v1.ConfigMapKeySelector.name",
    "v1.SecretKeySelector.name",
    "v1.LocalObjectReference.name",
    "v1.HTTPGetAction.port",
    "v1.TCPSocketAction.port",
    "v1.GRPCAction.port",
    "v1.PodReadinessGate.conditionType",
    "v1.PodSchedulingGate.name",
    "v1.OwnerReference.apiVersion",
    "v1.OwnerReference.kind",
    "v1.OwnerReference.name",
    "v1.OwnerReference.uid",
    "v1.Sysctl.value",
    "v1.SleepAction.seconds",
    "v1.Taint.key",
    "v1.Deployment.spec",
    "v1.ReplicaSet.spec",
    "v1.StatefulSet.spec",
    "v1.DaemonSet.spec",
    "v1.CronJob.spec",
    "v1.DeploymentSpec.template",
    "v1.ReplicaSetSpec.template",
    "v1.StatefulSetSpec.template",
    "v1.DaemonSetSpec.template",
    "v1.JobSpec.template",
    "v1.CronJobSpec.jobTemplate",
];

struct Generator {
    generator: SchemaGenerator,
    kinds: String,
}

impl Generator {
    fn kind<T: Resource + JsonSchema>(&mut self) {
        self.generator.subschema_for::<T>();
        let scope =
            if std::any::type_name::<T::Scope>().contains("Namespace") { "Namespaced" } else { "Cluster" };
        let name = go_name(&T::schema_name());
        writeln!(self.kinds, "kind {} {} {scope} {name}", T::API_VERSION, T::KIND).unwrap();
    }
}

/// Types that have a namesake in the core group; their group is written behind the name.
const NAMESAKES: [&str; 1] = ["discovery.v1.EndpointPort"];

/// `io.k8s.api.core.v1.Pod` is `v1.Pod` in Go.
fn go_name(schema_name: &str) -> String {
    let parts = schema_name.rsplit('.').take(3).collect::<Vec<_>>();
    let [name, version, group] = parts[..] else { panic!("no name of a type: {schema_name}") };
    if NAMESAKES.contains(&format!("{group}.{version}.{name}").as_str()) {
        return format!("{version}.{name}@{group}");
    }
    format!("{version}.{name}")
}

fn type_of(schema: &Value) -> String {
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference {
        return go_name(reference);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("array") => format!("[]{}", type_of(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map[string]{}", type_of(&schema["additionalProperties"]))
        }
        Some("integer") => schema["format"].as_str().unwrap_or("int64").to_owned(),
        Some("number") => "float64".to_owned(),
        Some("boolean") => "bool".to_owned(),
        Some("string") if schema["format"] == "byte" => "[]uint8".to_owned(),
        Some("string") => "string".to_owned(),
        _ => "any".to_owned(),
    }
}

fn compact(definitions: &BTreeMap<String, Value>) -> String {
    let mut types = BTreeMap::new();
    for (name, schema) in definitions {
        let go = go_name(name);
        let mut text = String::new();
        if schema["x-kubernetes-int-or-string"] == true {
            writeln!(text, "= {}", if go.ends_with("Quantity") { "quantity" } else { "intorstring" })
                .unwrap();
        } else if let Some(fields) = schema["properties"].as_object() {
            for (field, schema_of_field) in fields {
                let required = schema["required"]
                    .as_array()
                    .is_some_and(|all| all.contains(&Value::from(field.as_str())))
                    && !NOT_REQUIRED.contains(&format!("{go}.{field}").as_str());
                let mark = if required { "!" } else { "" };
                writeln!(text, "{field}{mark} {}", type_of(schema_of_field)).unwrap();
            }
        } else if schema["type"] == "string" {
            writeln!(text, "= string").unwrap();
        } else {
            writeln!(text, "= any").unwrap();
        }
        let before = types.insert(go.clone(), text);
        assert!(before.is_none(), "two types are named {go}");
    }
    types.iter().fold(String::new(), |all, (name, text)| all + ": " + name + "\n" + text)
}

fn generate() -> String {
    let mut all = Generator { generator: SchemaSettings::openapi3().into_generator(), kinds: String::new() };
    all.kind::<core::v1::Pod>();
    all.kind::<core::v1::Node>();
    all.kind::<core::v1::Namespace>();
    all.kind::<core::v1::Service>();
    all.kind::<core::v1::Endpoints>();
    all.kind::<core::v1::ConfigMap>();
    all.kind::<core::v1::Secret>();
    all.kind::<core::v1::ServiceAccount>();
    all.kind::<core::v1::PersistentVolumeClaim>();
    all.kind::<core::v1::PersistentVolume>();
    all.kind::<core::v1::ReplicationController>();
    all.kind::<core::v1::ResourceQuota>();
    all.kind::<core::v1::LimitRange>();
    all.kind::<core::v1::Event>();
    all.kind::<apps::v1::Deployment>();
    all.kind::<apps::v1::ReplicaSet>();
    all.kind::<apps::v1::StatefulSet>();
    all.kind::<apps::v1::DaemonSet>();
    all.kind::<apps::v1::ControllerRevision>();
    all.kind::<batch::v1::Job>();
    all.kind::<batch::v1::CronJob>();
    all.kind::<discovery::v1::EndpointSlice>();
    all.kind::<networking::v1::NetworkPolicy>();
    all.kind::<networking::v1::Ingress>();
    all.kind::<networking::v1::IngressClass>();
    all.kind::<networking::v1::ServiceCIDR>();
    all.kind::<networking::v1::IPAddress>();
    all.kind::<coordination::v1::Lease>();
    all.kind::<scheduling::v1::PriorityClass>();
    all.kind::<storage::v1::StorageClass>();
    all.kind::<rbac::v1::Role>();
    all.kind::<rbac::v1::RoleBinding>();
    all.kind::<rbac::v1::ClusterRole>();
    all.kind::<rbac::v1::ClusterRoleBinding>();
    all.kind::<autoscaling::v2::HorizontalPodAutoscaler>();
    all.kind::<autoscaling::v1::HorizontalPodAutoscaler>();
    all.kind::<policy::v1::PodDisruptionBudget>();
    let definitions = all.generator.definitions().iter();
    let definitions = definitions
        .map(|(name, schema)| (name.clone(), Schema::try_from(schema.clone()).unwrap().to_value()))
        .collect();
    let head = "# Generated by tests/schema.rs from the API's own types; UPDATE_EXPECT=1 cargo test --test schema.\n";
    format!("{head}{}{}", all.kinds, compact(&definitions))
}

#[test]
fn the_schema_is_current() {
    let fresh = generate();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(PATH, &fresh).unwrap();
    }
    let stored = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(stored == fresh, "run UPDATE_EXPECT=1 cargo test --test schema");
    assert!(stored.len() < 100_000, "the schema ships in the page: {} bytes", stored.len());
}

/// `object` written by our struct and read by the API's own type must be what that type reads from the text itself.
fn assert_same<T: DeserializeOwned + PartialEq + Debug>(object: &impl Serialize, raw: &Value) {
    let ours = serde_json::to_value(object).unwrap();
    let mut ours: Value = ours;
    for field in ["apiVersion", "kind"] {
        ours[field] = raw[field].clone();
    }
    let ours = serde_json::from_value::<T>(ours).unwrap();
    assert_eq!(ours, serde_json::from_value::<T>(raw.clone()).unwrap());
}

#[test]
fn our_structs_carry_what_the_api_types_carry() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check/as-kubectl-prints.yaml");
    let parsed = vethscope::manifest::parse(&std::fs::read_to_string(path).unwrap());
    assert_eq!((parsed.pods().count(), parsed.nodes().count()), (1, 1), "{:?}", parsed.diagnostics);
    for located in &parsed.objects {
        if let Object::Pod(pod) = &located.object {
            assert_same::<core::v1::Pod>(pod, &located.raw);
        }
        if let Object::Node(node) = &located.object {
            assert_same::<core::v1::Node>(node, &located.raw);
        }
    }
}

/// Whether every field of `ours` stands in `real` with the same value. Values that the API's defaults are, and fields
/// that are empty, need not stand there.
fn is_part_of(ours: &Value, real: &Value) -> bool {
    let is_default = |value: &Value| {
        matches!(value, Value::Null | Value::Bool(false))
            || ["", "TCP", "ClusterIP", "Cluster", "None", "Always", "ClusterFirst"]
                .iter()
                .any(|text| value == text)
            || value == &Value::from(0)
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    match (ours, real) {
        (Value::Object(ours), Value::Object(real)) => ours.iter().all(|(name, value)| {
            real.get(name).map_or_else(
                || is_default(value) || all_default(value, &is_default),
                |real| is_part_of(value, real),
            )
        }),
        (Value::Array(ours), Value::Array(real)) => {
            ours.len() == real.len() && ours.iter().zip(real).all(|(ours, real)| is_part_of(ours, real))
        }
        // A quantity may be written as a number; the real type makes a text of it.
        (Value::Number(ours), Value::String(real)) => ours.to_string() == *real,
        (ours, real) => ours == real || (is_default(ours) && is_default(real)),
    }
}

fn all_default(value: &Value, is_default: &impl Fn(&Value) -> bool) -> bool {
    match value.as_object() {
        Some(fields) => fields.values().all(|field| is_default(field) || all_default(field, is_default)),
        None => is_default(value),
    }
}

/// What the API's own type makes of an object; `None` for kinds that have no struct here.
fn as_real(raw: &Value, kind: &str) -> Option<Result<Value, serde_json::Error>> {
    fn through<T: DeserializeOwned + Serialize>(raw: &Value) -> Result<Value, serde_json::Error> {
        serde_json::to_value(serde_json::from_value::<T>(raw.clone())?)
    }
    Some(match kind {
        "Pod" => through::<core::v1::Pod>(raw),
        "Node" => through::<core::v1::Node>(raw),
        "Service" => through::<core::v1::Service>(raw),
        "Endpoints" => through::<core::v1::Endpoints>(raw),
        "EndpointSlice" => through::<discovery::v1::EndpointSlice>(raw),
        _ => return None,
    })
}

fn as_ours(object: &Object) -> Option<Value> {
    let value = match object {
        Object::Pod(pod) => serde_json::to_value(pod),
        Object::Node(node) => serde_json::to_value(node),
        Object::Service(service) => serde_json::to_value(service),
        Object::Endpoints(endpoints) => serde_json::to_value(endpoints),
        Object::EndpointSlice(slice) => serde_json::to_value(slice),
        Object::Cluster(_) | Object::NetworkPolicy(_) | Object::AdminNetworkPolicy(_) | Object::Other(_) => {
            return None;
        }
    };
    Some(value.unwrap())
}

/// Our struct and the API's own type read the same from an object.
fn assert_agreement(raw: &Value, object: &Object) -> bool {
    let (Some(ours), Some(real)) = (as_ours(object), as_real(raw, object.kind())) else { return false };
    let real = real
        .unwrap_or_else(|error| panic!("the API's own type refuses what is accepted here: {error}\n{raw}"));
    // The namespace is filled in here.
    let mut ours = ours;
    if real["metadata"].get("namespace").is_none() {
        ours["metadata"].as_object_mut().unwrap().remove("namespace");
    }
    assert!(is_part_of(&ours, &real), "ours: {ours}\nreal: {real}");
    true
}

#[test]
fn our_structs_agree_with_the_api_types_over_every_fixture() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
            let is_cases = path.parent().is_some_and(|parent| parent.ends_with("validation"));
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let texts: Vec<&str> = match (is_yaml, is_cases) {
                (true, _) => vec![&text],
                (_, true) => {
                    text.split("=== ").skip(1).filter_map(|case| Some(case.split_once('\n')?.1)).collect()
                }
                _ => continue,
            };
            for text in texts {
                for located in vethscope::manifest::parse(text).objects {
                    // A quantity or a list may be written as `null`; the real types take that for nothing.
                    count += usize::from(assert_agreement(&located.raw, &located.object));
                }
            }
        }
    }
    assert!(count > 100, "only {count} objects were compared");
}

mod generated {
    use super::*;
    use k8s_openapi::api::core::v1::{
        Container, ContainerPort, EnvVar, HostAlias, Pod, PodDNSConfig, PodDNSConfigOption, PodSpec, Service,
        ServicePort, ServiceSpec, Toleration,
    };
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    use proptest::collection::{btree_map, vec};
    use proptest::option::of;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = String> {
        "[a-z]([a-z0-9-]{0,8}[a-z0-9])?"
    }

    fn metadata() -> impl Strategy<Value = ObjectMeta> {
        (name(), of(name()), of(btree_map("[a-z]{1,6}", "[a-z0-9]{0,6}", 0..3))).prop_map(
            |(name, namespace, labels)| ObjectMeta {
                name: Some(name),
                namespace,
                labels,
                ..ObjectMeta::default()
            },
        )
    }

    fn port() -> impl Strategy<Value = ContainerPort> {
        let protocol = prop::sample::select(vec!["TCP", "UDP", "SCTP"]);
        (1..=65_535i32, of(name()), of(protocol), of(1..=65_535i32)).prop_map(
            |(container_port, name, protocol, host_port)| ContainerPort {
                container_port,
                name,
                protocol: protocol.map(str::to_owned),
                host_port,
                ..ContainerPort::default()
            },
        )
    }

    fn container() -> impl Strategy<Value = Container> {
        let env = ("[A-Z]{1,6}", of("[ -~]{0,12}")).prop_map(|(name, value)| EnvVar {
            name,
            value,
            value_from: None,
        });
        (
            name(),
            "[a-z]{1,8}(:[0-9.]{1,4})?",
            of(vec(port(), 0..3)),
            of(vec(env, 0..3)),
            of(vec("[ -~]{1,8}", 0..3)),
        )
            .prop_map(|(name, image, ports, env, command)| Container {
                name,
                image: Some(image),
                ports,
                env,
                command,
                ..Container::default()
            })
    }

    fn pod() -> impl Strategy<Value = Pod> {
        let dns = (vec("10\\.[0-9]\\.[0-9]\\.[0-9]", 1..4), of(vec(name(), 0..3)), of("[0-9]")).prop_map(
            |(servers, searches, ndots)| PodDNSConfig {
                nameservers: Some(servers),
                searches,
                options: ndots.map(|value| {
                    vec![PodDNSConfigOption { name: Some("ndots".to_owned()), value: Some(value) }]
                }),
            },
        );
        let alias = (name(), "10\\.[0-9]\\.[0-9]\\.[0-9]")
            .prop_map(|(name, ip)| HostAlias { ip, hostnames: Some(vec![name]) });
        let toleration = (name(), of(0..500i64)).prop_map(|(key, toleration_seconds)| Toleration {
            key: Some(key),
            operator: Some("Exists".to_owned()),
            effect: Some("NoExecute".to_owned()),
            toleration_seconds,
            value: None,
        });
        let spec = (
            vec(container(), 1..4),
            of(vec(container(), 0..2)),
            of(dns),
            of(vec(alias, 0..2)),
            of(vec(toleration, 0..2)),
            any::<bool>(),
            of(name()),
        );
        (metadata(), spec).prop_map(
            |(
                metadata,
                (containers, init_containers, dns_config, host_aliases, tolerations, host_network, hostname),
            )| Pod {
                metadata,
                spec: Some(PodSpec {
                    containers,
                    init_containers,
                    dns_config,
                    host_aliases,
                    tolerations,
                    host_network: host_network.then_some(true),
                    hostname,
                    ..PodSpec::default()
                }),
                status: None,
            },
        )
    }

    fn service() -> impl Strategy<Value = Service> {
        let target =
            prop_oneof![(1..=65_535i32).prop_map(IntOrString::Int), name().prop_map(IntOrString::String)];
        let port = (name(), 1..=65_535i32, of(target)).prop_map(|(name, port, target_port)| ServicePort {
            name: Some(name),
            port,
            target_port,
            ..ServicePort::default()
        });
        (
            metadata(),
            vec(port, 1..4),
            of(btree_map("[a-z]{1,6}", "[a-z0-9]{0,6}", 0..3)),
            of(Just("None".to_owned())),
        )
            .prop_map(|(metadata, ports, selector, cluster_ip)| Service {
                metadata,
                spec: Some(ServiceSpec {
                    ports: Some(ports),
                    selector,
                    cluster_ip,
                    ..ServiceSpec::default()
                }),
                status: None,
            })
    }

    /// What is decoded from an object of the API's own types agrees with it; what is refused is refused by validation,
    /// never by decoding.
    fn agrees(value: &Value) -> Result<(), TestCaseError> {
        let parsed = vethscope::manifest::parse_value(value);
        let decoding = parsed.diagnostics.iter().find(|found| {
            found.message.starts_with("decode.type") || found.message.starts_with("decode.unknown")
        });
        prop_assert!(decoding.is_none(), "{decoding:?}\n{value}");
        if let Some(located) = parsed.objects.first() {
            prop_assert!(assert_agreement(&located.raw, &located.object));
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn pods_are_read_as_the_api_types_write_them(pod in pod()) {
            agrees(&serde_json::to_value(&pod).unwrap())?;
        }

        #[test]
        fn services_are_read_as_the_api_types_write_them(service in service()) {
            agrees(&serde_json::to_value(&service).unwrap())?;
        }
    }
}
