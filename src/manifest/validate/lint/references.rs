//! Objects that refer to others that are not there.

use super::{Pods, View};
use crate::base::{DemoPlace, Diagnostic};
use crate::manifest::schema::nearest;
use crate::manifest::validate::cursor::Cursor;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn lint(view: &View<'_>, found: &mut Vec<Diagnostic>) {
    let mut all: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for entry in view.entries {
        let object = &entry.located.object;
        let names = all.entry((object.kind(), &object.metadata().namespace)).or_default();
        names.insert(&object.metadata().name);
    }
    let none = BTreeSet::new();
    for pods in view.pods() {
        let mut report = pods.report();
        for (kind, (name, optional)) in references(pods) {
            let known = all.get(&(kind, pods.namespace)).unwrap_or(&none);
            if name.text().is_empty() || optional || known.contains(name.text()) {
                continue;
            }
            // Every namespace has it from the beginning.
            if kind == "ConfigMap" && name.text() == "kube-root-ca.crt" {
                continue;
            }
            let is_account = kind == "ServiceAccount";
            if is_account && name.text() == "default" {
                continue;
            }
            let message = if is_account { "lint.missing.account" } else { "lint.missing" };
            let args = [kind, name.text(), pods.namespace];
            report.warning(&name.path(), message, Some("lint.missing.hint"), &args);
            let (namespace, missing) = (pods.namespace, name.text());
            // A Pod of the text itself comes all the same, so the refusal is shown with one of a request.
            let demo = if is_account {
                let account = format!("{{\"spec\":{{\"serviceAccountName\":\"{missing}\"}}}}");
                format!("kubectl run trial -n {namespace} --image=busybox --overrides='{account}'")
            } else {
                format!("sh -c 'kubectl get pods -n {namespace}; kubectl get events -n {namespace}'")
            };
            report.demo(DemoPlace::Node, demo);
            if let Some(meant) = nearest(name.text(), known.iter().copied()) {
                report.fix_value(&name.path(), "lint.missing.fix", meant);
            }
        }
        found.extend(report.finish());
    }
}

/// The kinds and names that a Pod refers to, and whether it can do without.
fn references<'a>(pods: &Pods<'a>) -> Vec<(&'static str, (Cursor<'a>, bool))> {
    let mut all = Vec::new();
    let mut add = |kind: &'static str, source: &Cursor<'a>, field: &'static str| {
        if source.is_set() {
            all.push((kind, (source.get(field), source.get("optional").is_true())));
        }
    };
    add("ServiceAccount", &pods.spec, "serviceAccountName");
    for volume in pods.spec.get("volumes").items() {
        add("ConfigMap", &volume.get("configMap"), "name");
        add("Secret", &volume.get("secret"), "secretName");
        add("PersistentVolumeClaim", &volume.get("persistentVolumeClaim"), "claimName");
    }
    let containers =
        ["initContainers", "containers"].into_iter().flat_map(|list| pods.spec.get(list).items());
    for container in containers {
        for variable in container.get("env").items() {
            let from = variable.get("valueFrom");
            add("ConfigMap", &from.get("configMapKeyRef"), "name");
            add("Secret", &from.get("secretKeyRef"), "name");
        }
        for source in container.get("envFrom").items() {
            add("ConfigMap", &source.get("configMapRef"), "name");
            add("Secret", &source.get("secretRef"), "name");
        }
    }
    all
}
