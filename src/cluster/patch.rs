//! Changes to objects as JSON: merge patches (RFC 7386), strategic merge patches (`k8s.io/apimachinery`
//! `strategicpatch`), JSON patches (RFC 6902), and the three-way merge of `kubectl apply`.

use serde_json::{Map, Value};

/// Lists whose elements are told apart by a key (`patchMergeKey` of the API's types), with that key. Container ports
/// and Service ports have the same name and are told apart by what their elements hold.
const MERGE_KEYS: [(&str, &[&str]); 17] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("ports", &["containerPort", "port"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("conditions", &["type"]),
    ("ownerReferences", &["uid"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("addresses", &["type"]),
    ("volumeDevices", &["devicePath"]),
    ("secrets", &["name"]),
    ("schedulingGates", &["name"]),
    ("resourceClaims", &["name"]),
];

/// Applies a merge patch: `null` removes a field, lists are replaced.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Applies a strategic merge patch: lists with a merge key are merged element by element.
pub fn strategic(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        let fields = patch.iter().filter(|(name, _)| *name != "$patch");
        *target = Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect());
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch.iter().filter(|(name, _)| !name.starts_with("$setElementOrder")) {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().cloned().unwrap_or_default();
            if let Some(Value::Array(items)) = fields.get_mut(list) {
                items.retain(|item| !gone.contains(item));
            }
        } else if name == "$retainKeys" {
            let kept = value.as_array().cloned().unwrap_or_default();
            fields.retain(|field, _| kept.contains(&Value::from(field.as_str())));
        } else if value.is_null() {
            fields.remove(name);
        } else if let Value::Array(items) = value {
            let list = fields.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
            merge_list(name, list, items);
        } else {
            strategic(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The merge key of a list with these elements; `None` for a list that is replaced as a whole.
fn merge_key(name: &str, items: &[Value]) -> Option<&'static str> {
    let (_, keys) = MERGE_KEYS.iter().find(|(list, _)| *list == name)?;
    keys.iter().copied().find(|key| items.iter().all(|item| item.get(key).is_some()))
}

fn merge_list(name: &str, list: &mut Value, patch: &[Value]) {
    // Finalizers are a set of texts.
    if let (Value::Array(present), "finalizers") = (&mut *list, name) {
        let new = patch.iter().filter(|item| !present.contains(item)).cloned().collect::<Vec<_>>();
        present.extend(new);
        return;
    }
    let named: Vec<Value> = patch
        .iter()
        .filter(|item| item.get("$patch").is_none_or(|what| what != "replace"))
        .cloned()
        .collect();
    let key = merge_key(name, &named).filter(|_| named.len() == patch.len());
    let (Some(key), Value::Array(present)) = (key, &mut *list) else {
        let plain = patch.iter().filter(|item| item.get("$patch").is_none());
        *list = Value::Array(plain.cloned().collect());
        return;
    };
    let order = present.clone();
    for item in patch {
        let place = present.iter().position(|old| old.get(key) == item.get(key));
        let deletes = item.get("$patch").and_then(Value::as_str) == Some("delete");
        match place {
            Some(place) if deletes => drop(present.remove(place)),
            Some(place) => strategic(&mut present[place], item),
            None if deletes => {}
            None => present.push(item.clone()),
        }
    }
    let find = |list: &[Value], item: &Value| list.iter().position(|one| one.get(key) == item.get(key));
    let placed = std::mem::take(present).into_iter().map(|item| (find(&order, &item), item));
    let (mut own, others): (Vec<_>, Vec<_>) = placed.partition(|(_, item)| find(patch, item).is_some());
    own.sort_by_key(|(_, item)| find(patch, item));
    *present = interleaved(own, others);
}

/// The elements of a patch in its order; others stay before those that they stood before (`mergeSortedSlice`). With
/// each element comes its place in the list before, if it was there.
fn interleaved(own: Vec<(Option<usize>, Value)>, others: Vec<(Option<usize>, Value)>) -> Vec<Value> {
    let mut merged = Vec::new();
    let mut others = others.into_iter().peekable();
    for (place, item) in own {
        while let Some((_, other)) = others.next_if(|(at, _)| at.is_some() && place.is_some() && *at < place)
        {
            merged.push(other);
        }
        merged.push(item);
    }
    merged.extend(others.map(|(_, other)| other));
    merged
}

/// Applies the operations of a JSON patch; the error is the API server's.
pub fn operations(target: &mut Value, patch: &Value) -> Result<(), String> {
    for operation in patch.as_array().ok_or("a JSON patch is a list of operations")? {
        let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
        let (op, path) = (text("op"), text("path"));
        let missing = || format!("{op} operation does not apply: doc is missing path: {path}: missing value");
        match op {
            "remove" => drop(take(target, path).ok_or_else(missing)?),
            "test" => {
                if target.pointer(path) != operation.get("value") {
                    return Err(format!("testing value {path} failed: test failed"));
                }
            }
            "add" | "replace" => {
                if op == "replace" && target.pointer(path).is_none() {
                    return Err(missing());
                }
                let value = operation.get("value").cloned().unwrap_or(Value::Null);
                place(target, path, value, op == "add").ok_or_else(missing)?;
            }
            "move" | "copy" => {
                let from = text("from");
                let found = if op == "move" { take(target, from) } else { target.pointer(from).cloned() };
                place(target, path, found.ok_or_else(missing)?, true).ok_or_else(missing)?;
            }
            _ => return Err(format!("Unexpected kind: {op}")),
        }
    }
    Ok(())
}

/// The parent that a JSON pointer (RFC 6901) leads to, and the last part of it.
fn parent<'v>(target: &'v mut Value, path: &str) -> Option<(&'v mut Value, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((target.pointer_mut(parent)?, last.replace("~1", "/").replace("~0", "~")))
}

fn take(target: &mut Value, path: &str) -> Option<Value> {
    match parent(target, path)? {
        (Value::Object(fields), name) => fields.remove(&name),
        (Value::Array(items), index) => {
            let index = index.parse().ok().filter(|index| *index < items.len())?;
            Some(items.remove(index))
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => None,
    }
}

fn place(target: &mut Value, path: &str, value: Value, inserts: bool) -> Option<()> {
    if path.is_empty() {
        *target = value;
        return Some(());
    }
    match parent(target, path)? {
        (Value::Object(fields), name) => drop(fields.insert(name, value)),
        (Value::Array(items), index) if index == "-" => items.push(value),
        (Value::Array(items), index) => {
            let index = index.parse().ok().filter(|index| *index <= items.len())?;
            if inserts {
                items.insert(index, value);
            } else {
                *items.get_mut(index)? = value;
            }
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => return None,
    }
    Some(())
}

/// What `kubectl apply` makes of a live object: fields of the text before that are no longer written go, what is
/// written now is set, and what others have set stays. Lists with a merge key are merged element by element
/// (`CreateThreeWayMergePatch`).
pub fn three_way(before: Option<&Value>, written: &Value, live: &Value) -> Value {
    let (Value::Object(written), Value::Object(live)) = (written, live) else { return written.clone() };
    let mut fields = live.clone();
    let before = before.and_then(Value::as_object);
    fields.retain(|name, _| {
        let was_written = before.is_some_and(|before| before.contains_key(name));
        written.contains_key(name) || !was_written
    });
    for (name, value) in written {
        if value.is_null() {
            fields.remove(name);
            continue;
        }
        let before = before.and_then(|before| before.get(name));
        let merged = match (value, fields.get(name)) {
            (Value::Array(written), Some(Value::Array(live))) => three_way_list(name, before, written, live),
            (_, Some(live)) => three_way(before, value, live),
            (_, None) => value.clone(),
        };
        fields.insert(name.clone(), merged);
    }
    Value::Object(fields)
}

/// The elements that are written, in their order, with those of others at the place that they had among them.
fn three_way_list(name: &str, before: Option<&Value>, written: &[Value], live: &[Value]) -> Value {
    let before = before.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_set = name == "finalizers";
    let key = if is_set { None } else { merge_key(name, written) };
    if !is_set && (key.is_none() || written.is_empty()) {
        return Value::Array(written.to_vec());
    }
    let same = |one: &Value, other: &Value| match key {
        Some(key) => one.get(key) == other.get(key),
        None => one == other,
    };
    let find = |list: &'_ [Value], item: &Value| list.iter().position(|one| same(one, item));
    let is_kept = |item: &Value| find(written, item).is_none() && find(before, item).is_none();
    let others = live.iter().enumerate().filter(|(_, item)| is_kept(item));
    let others = others.map(|(at, item)| (Some(at), item.clone())).collect();
    let own = written.iter().map(|item| {
        let place = find(live, item);
        let old = find(before, item).map(|at| &before[at]);
        (place, place.map_or_else(|| item.clone(), |place| three_way(old, item, &live[place])))
    });
    Value::Array(interleaved(own.collect(), others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_removes_with_null_and_replaces_lists() {
        let mut value = json!({"a": {"b": 1, "c": [1, 2]}, "d": 2});
        merge(&mut value, &json!({"a": {"b": null, "c": [3]}, "e": {"f": 1}}));
        assert_eq!(value, json!({"a": {"c": [3]}, "d": 2, "e": {"f": 1}}));
    }

    #[test]
    fn a_strategic_patch_finds_list_elements_by_their_key() {
        let mut value = json!({"containers": [{"name": "a", "image": "x"}, {"name": "b"}], "args": [1]});
        let patch = json!({
            "containers": [{"name": "a", "image": "y"}, {"name": "b", "$patch": "delete"}, {"name": "c"}], "args": [2]
        });
        strategic(&mut value, &patch);
        assert_eq!(value, json!({"containers": [{"name": "a", "image": "y"}, {"name": "c"}], "args": [2]}));
        strategic(&mut value, &json!({"containers": [{"name": "new"}]}));
        assert_eq!(value["containers"][0]["name"], "new", "what the server does not know comes first");
    }

    #[test]
    fn operations_change_one_place_each() {
        let mut value = json!({"spec": {"ports": [{"port": 80}]}});
        let patch = json!([
            {"op": "replace", "path": "/spec/ports/0/port", "value": 81},
            {"op": "add", "path": "/spec/ports/-", "value": 1},
            {"op": "remove", "path": "/spec/ports/1"},
            {"op": "add", "path": "/a~1b", "value": 2},
        ]);
        assert_eq!(operations(&mut value, &patch), Ok(()));
        assert_eq!(value, json!({"spec": {"ports": [{"port": 81}]}, "a/b": 2}));
        assert!(operations(&mut value, &json!([{"op": "remove", "path": "/spec/none"}])).is_err());
    }

    #[test]
    fn applying_again_keeps_what_others_set() {
        let before = json!({"spec": {"a": 1, "b": 2}});
        let written = json!({"spec": {"a": 3}});
        let live = json!({"spec": {"a": 1, "b": 2, "clusterIP": "10.0.0.1"}, "status": {}});
        let merged = three_way(Some(&before), &written, &live);
        assert_eq!(merged, json!({"spec": {"a": 3, "clusterIP": "10.0.0.1"}, "status": {}}));
    }

    #[test]
    fn applying_again_merges_lists_by_their_key() {
        let before = json!({"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}, {"name": "old"}]});
        let written = json!({"containers": [{"name": "a", "env": [{"name": "X", "value": "3"}]}, {"name": "b"}], "args": ["1"]});
        let live = json!({"containers": [
            {"name": "injected"},
            {"name": "a", "imagePullPolicy": "Always", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}, {"name": "Z", "value": "9"}]},
            {"name": "old"}], "args": ["2", "3"]});
        assert_eq!(
            three_way(Some(&before), &written, &live),
            json!({"containers": [
                {"name": "injected"},
                {"name": "a", "imagePullPolicy": "Always", "env": [{"name": "X", "value": "3"}, {"name": "Z", "value": "9"}]},
                {"name": "b"}], "args": ["1"]})
        );
    }
}
