//! Autoscalers.

use super::{head, line, moment};
use crate::shell::kubectl::json::{at, list, number, or, plain, text};
use serde_json::Value;

const UNKNOWN: &str = "<unknown>";

/// `describeHorizontalPodAutoscalerV2`.
pub(super) fn autoscaler(object: &Value, out: &mut String) {
    head(object, true, out);
    line(out, &format!("CreationTimestamp:\t{}", moment(text(object, "metadata.creationTimestamp"))));
    let target = at(object, "spec.scaleTargetRef");
    line(out, &format!("Reference:\t{}/{}", text(target, "kind"), text(target, "name")));
    line(out, "Metrics:\t( current / target )");
    let current = list(object, "status.currentMetrics");
    for (index, one) in list(object, "spec.metrics").iter().enumerate() {
        metric(one, current.get(index).unwrap_or(&Value::Null), out);
    }
    // The API server writes down a least number of one where there is none.
    line(out, &format!("Min replicas:\t{}", at(object, "spec.minReplicas").as_i64().unwrap_or(1)));
    line(out, &format!("Max replicas:\t{}", number(object, "spec.maxReplicas")));
    if !at(object, "spec.behavior").is_null() {
        line(out, "Behavior:");
        direction("Scale Up", at(object, "spec.behavior.scaleUp"), out);
        direction("Scale Down", at(object, "spec.behavior.scaleDown"), out);
    }
    let (now, wanted) = (number(object, "status.currentReplicas"), number(object, "status.desiredReplicas"));
    line(out, &format!("{} pods:\t{now} current / {wanted} desired", text(target, "kind")));
    let conditions = list(object, "status.conditions");
    if conditions.is_empty() {
        return;
    }
    line(out, "Conditions:\n  Type\tStatus\tReason\tMessage\n  ----\t------\t------\t-------");
    for one in conditions {
        let of = |field: &str| text(one, field).to_owned();
        line(out, &format!("  {}\t{}\t{}\t{}", of("type"), of("status"), of("reason"), of("message")));
    }
}

fn amount(value: &Value, path: &str) -> String {
    let value = at(value, path);
    if value.is_null() { UNKNOWN.to_owned() } else { plain(value) }
}

fn metric(metric: &Value, current: &Value, out: &mut String) {
    let kind = text(metric, "type");
    let field = match kind {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return line(out, &format!("  <unknown metric type {kind:?}>")),
    };
    let source = at(metric, field);
    let target = at(source, "target");
    let current = at(at(current, field), "current");
    let by_average = !at(target, "averageValue").is_null();
    let values = |field: &str| format!("{} / {}", amount(current, field), amount(target, field));
    let name = text(source, "metric.name");
    let resource = text(source, "name");
    match kind {
        "External" if by_average => {
            line(out, &format!("  {name:?} (target average value):\t{}", values("averageValue")));
        }
        "External" => line(out, &format!("  {name:?} (target value):\t{}", values("value"))),
        "Pods" => line(out, &format!("  {name:?} on pods:\t{}", values("averageValue"))),
        "Object" => {
            let described = at(source, "describedObject");
            let (word, field) = match text(target, "type") {
                "AverageValue" => ("average value", "averageValue"),
                _ => ("value", "value"),
            };
            let object = format!("{}/{}", text(described, "kind"), text(described, "name"));
            line(out, &format!("  \"{name}\" on {object} (target {word}):\t{}", values(field)));
        }
        _ => {
            let container = match kind {
                "Resource" => String::new(),
                _ => format!(" of container \"{}\"", text(source, "container")),
            };
            if by_average {
                let values = values("averageValue");
                return line(out, &format!("  resource {resource}{container} on pods:\t{values}"));
            }
            let used = at(current, "averageUtilization").as_i64();
            let used = used
                .map_or(UNKNOWN.to_owned(), |part| format!("{part}% ({})", amount(current, "averageValue")));
            let wanted = at(target, "averageUtilization").as_i64();
            let wanted = wanted.map_or("<auto>".to_owned(), |part| format!("{part}%"));
            // The second part is indented again.
            line(
                out,
                &format!(
                    "  resource {resource}{container} on pods  (as a percentage of request):\t{used} / {wanted}"
                ),
            );
        }
    }
}

/// `printDirectionBehavior`.
fn direction(title: &str, rules: &Value, out: &mut String) {
    if rules.is_null() {
        return;
    }
    line(out, &format!("  {title}:"));
    if let Some(secs) = at(rules, "stabilizationWindowSeconds").as_i64() {
        line(out, &format!("    Stabilization Window: {secs} seconds"));
    }
    let policies = list(rules, "policies");
    if policies.is_empty() {
        return;
    }
    line(out, &format!("    Select Policy: {}", or(text(rules, "selectPolicy"), "Max")));
    line(out, "    Policies:");
    for one in policies {
        let (value, secs) = (number(one, "value"), number(one, "periodSeconds"));
        line(out, &format!("      - Type: {}\tValue: {value}\tPeriod: {secs} seconds", text(one, "type")));
    }
}
