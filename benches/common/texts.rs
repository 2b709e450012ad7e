//! Texts that are read and edited.

use std::fmt::Write as _;

/// Pods, each with two containers, ports, variables, probes and resources.
pub(crate) fn pods(count: usize) -> String {
    let pod = |index: usize| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-{index}\n  labels: {{app: web, tier: front}}\nspec:\n  \
             containers:\n  - name: a\n    image: nginx:1.27\n    ports:\n    - {{name: http, containerPort: 80}}\n    \
             env:\n    - {{name: A, value: b}}\n    readinessProbe: {{httpGet: {{path: /, port: http}}}}\n    resources: \
             {{requests: {{cpu: 10m, memory: 16Mi}}, limits: {{memory: 32Mi}}}}\n  - name: b\n    image: busybox\n    \
             command: [sleep, infinity]\n"
        )
    };
    (0..count).map(pod).collect::<Vec<_>>().join("---\n")
}

/// Pods of four namespaces on five nodes under Calico, with a policy in each namespace.
pub(crate) fn guarded(count: usize) -> String {
    let mut text = String::from("apiVersion: vethscope.dev/v1alpha1\nkind: Cluster\nspec: {nodes: [");
    for node in 1..=5 {
        let address = node + 9;
        let _ =
            write!(text, "{{name: node{node}, address: 192.168.1.{address}, podCIDR: 10.244.{node}.0/24}}, ");
    }
    text += "], network: {cni: calico}}\n";
    for pod in 0..count {
        let (namespace, app, node) = (pod % 4, pod % 10, pod % 5 + 1);
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{pod}, namespace: n{namespace}, labels: {{app: a{app}}}}}\n\
             spec: {{nodeName: node{node}, containers: [{{name: c, image: agnhost, ports: [{{containerPort: 80}}]}}]}}\n"
        );
    }
    for namespace in 0..4 {
        let _ = write!(
            text,
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: n{namespace}}}\n\
             spec: {{podSelector: {{}}, ingress: [{{from: [{{namespaceSelector: {{}}, podSelector: {{matchLabels: {{app: a1}}}}}}], ports: [{{port: 80}}]}}]}}\n"
        );
    }
    text
}

/// A cluster, and the same with a label more and a Pod of another name.
pub(crate) fn edited(pods: usize) -> (String, String) {
    let nodes = (pods / 100).max(2);
    let text = super::cluster(nodes, pods);
    let edited = text.replacen("name: p1}", "name: p1, labels: {app: web}}", 1).replacen(
        "name: p2}",
        "name: renamed}",
        1,
    );
    (text, edited)
}
