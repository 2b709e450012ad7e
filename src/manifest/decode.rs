//! Strict decoding: every field must be one that the type has, and every value of the field's type. The words are the
//! API server's (`strict decoding error: unknown field …`, `json: cannot unmarshal …`).

use super::path::To;
use super::report::Report;
use super::scalar::Scalar;
use super::schema::{Field, Schema, Type, nearest};
use super::tree::{Entry, Node, NodeValue};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Kinds whose validation says nothing of fields that must be there. Of the others it does, in its own order and with a
/// reason, as the API server, which asks for no field before that.
const UNTOLD: [&str; 9] = [
    "AdminNetworkPolicy",
    "AuthorizationPolicy",
    "BaselineAdminNetworkPolicy",
    "Cluster",
    "Event",
    "IPAddress",
    "Lease",
    "PeerAuthentication",
    "ServiceCIDR",
];
/// A mapping of at most so many keys is small.
const FEW: usize = 8;

/// Checks `node` against the type `type_name` and reports what does not fit.
pub(super) fn check<'t>(schema: &Schema, type_name: &str, node: &'t Node, report: &mut Report<'t>) {
    let mut checker = Checker { schema, report, steps: Vec::new() };
    checker.value(node, type_name, Owner { type_name, parent: "" });
}

struct Checker<'s, 'r, 't> {
    schema: &'s Schema,
    report: &'r mut Report<'t>,
    /// The steps to what is checked; the path is written out only where something is wrong.
    steps: Vec<To<'t>>,
}

/// The struct that a value belongs to, and the struct around that one.
#[derive(Clone, Copy)]
struct Owner<'s> {
    type_name: &'s str,
    parent: &'s str,
}

impl<'s, 't> Checker<'s, '_, 't> {
    fn value(&mut self, node: &'t Node, type_name: &'s str, owner: Owner<'s>) {
        if node.is_null() {
            return;
        }
        if let Some(element) = type_name.strip_prefix("[]").filter(|&element| element != "uint8") {
            return self.sequence(node, type_name, element, owner);
        }
        if let Some(element) = type_name.strip_prefix("map[string]") {
            return self.map(node, type_name, element, owner);
        }
        if is_predeclared(type_name) {
            return self.scalar(node, type_name, owner);
        }
        let schema: &'s Schema = self.schema;
        match schema.type_named(type_name) {
            Some(Type::Struct(fields)) => self.structure(node, type_name, fields, owner),
            Some(Type::Form(form)) => self.scalar(node, form, owner),
            None => self.scalar(node, type_name, owner),
        }
    }

    fn sequence(&mut self, node: &'t Node, type_name: &str, element: &'s str, owner: Owner<'s>) {
        let NodeValue::Sequence(items) = &node.value else {
            return self.mismatch(node, type_name, "decode.type.list.hint", owner);
        };
        for (index, item) in items.iter().enumerate() {
            self.within(To::Element(index), |checker| checker.value(item, element, owner));
        }
    }

    fn map(&mut self, node: &'t Node, type_name: &str, element: &'s str, owner: Owner<'s>) {
        let NodeValue::Mapping(entries) = &node.value else {
            return self.mismatch(node, type_name, "decode.type.map.hint", owner);
        };
        self.duplicates(entries);
        for entry in entries {
            self.within(To::Entry(&entry.key), |checker| checker.value(&entry.value, element, owner));
        }
    }

    fn structure(&mut self, node: &'t Node, type_name: &'s str, fields: &'s [Field], owner: Owner<'s>) {
        let NodeValue::Mapping(entries) = &node.value else {
            return self.mismatch(node, type_name, "decode.type.map.hint", owner);
        };
        self.duplicates(entries);
        let inner =
            Owner { type_name, parent: if owner.type_name == type_name { "" } else { owner.type_name } };
        for entry in entries {
            match fields.iter().find(|field| field.name == entry.key) {
                Some(field) => self.within(To::Field(&entry.key), |checker| {
                    checker.value(&entry.value, field.type_name, inner);
                }),
                None => self.unknown(entry, fields, inner.parent),
            }
        }
        // What the observed state lacks is no fault of the user's.
        if self.steps.first() == Some(&To::Field("status")) || !UNTOLD.contains(&self.report.kind()) {
            return;
        }
        for field in fields.iter().filter(|field| field.required && field.name != "metadata") {
            if node.get(field.name).is_none_or(Node::is_null) {
                let path = self.child(field.name);
                self.report.required(&path, field.name);
            }
        }
    }

    fn scalar(&mut self, node: &'t Node, type_name: &str, owner: Owner<'s>) {
        let NodeValue::Scalar(value) = &node.value else {
            if type_name != "any" {
                self.mismatch(node, type_name, "decode.type.scalar.hint", owner);
            }
            return;
        };
        if type_name == "string"
            && let Some(letter) = node.source.as_deref().filter(|_| value.as_str().is_some())
        {
            let path = self.path();
            self.report.warning(
                &path,
                "decode.letter",
                Some("decode.type.string.hint"),
                &["", "", "", letter],
            );
        }
        let hint = match type_name {
            "string" | "[]uint8" if value.as_str().is_none() => "decode.type.string.hint",
            "bool" if !matches!(value, Scalar::Bool(_)) => "decode.type.bool.hint",
            "int32" if value.as_i64().is_none_or(|number| i32::try_from(number).is_err()) => {
                "decode.type.number.hint"
            }
            "int64" if value.as_i64().is_none() => "decode.type.number.hint",
            "float64" if !matches!(value, Scalar::Number(_)) => "decode.type.number.hint",
            "intorstring" if value.as_str().is_none() && value.as_i64().is_none() => {
                "decode.type.scalar.hint"
            }
            "quantity" => return self.quantity(value),
            "[]uint8" => return self.base64(node, value.as_str().unwrap_or("")),
            _ => return,
        };
        self.mismatch(node, type_name, hint, owner);
    }

    /// Bytes are written in base64, in which line ends may stand (`encoding/base64`).
    fn base64(&mut self, node: &'t Node, text: &str) {
        if let Some(at) = wrong_base64(text) {
            let path = self.path();
            let at = at.to_string();
            self.report.error_at(node.span, &path, "decode.base64", Some("decode.base64.hint"), &[&at]);
        }
    }

    fn quantity(&mut self, value: &Scalar) {
        let text = value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
        let body = text.trim_start_matches(['+', '-']);
        let digits = body.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let suffix = digits.trim_start_matches(['e', 'E']).trim_start_matches(['+', '-']);
        let exponent =
            suffix.len() < digits.len() && !suffix.is_empty() && suffix.bytes().all(|b| b.is_ascii_digit());
        let unit = matches!(
            digits,
            "" | "n"
                | "u"
                | "m"
                | "k"
                | "M"
                | "G"
                | "T"
                | "P"
                | "E"
                | "Ki"
                | "Mi"
                | "Gi"
                | "Ti"
                | "Pi"
                | "Ei"
        );
        if body.len() == digits.len() || !(unit || exponent) {
            let path = self.path();
            self.report.error(&path, "decode.quantity", Some("decode.quantity.hint"), &[&text]);
        }
    }

    fn duplicates(&mut self, entries: &'t [Entry]) {
        // A few keys are compared faster than sorted.
        let mut seen = if entries.len() > FEW { Some(BTreeSet::new()) } else { None };
        for (at, entry) in entries.iter().enumerate() {
            let is_new = match &mut seen {
                Some(seen) => seen.insert(entry.key.as_str()),
                None => entries[..at].iter().all(|earlier| earlier.key != entry.key),
            };
            if !is_new {
                let path = self.child(&entry.key);
                let hint = Some("decode.duplicate.hint");
                self.report.error_at(entry.key_span, &path, "decode.duplicate", hint, &[&path, &entry.key]);
            }
        }
    }

    fn unknown(&mut self, entry: &'t Entry, fields: &[Field], parent: &str) {
        let path = self.child(&entry.key);
        let meant = nearest(&entry.key, fields.iter().map(|field| field.name));
        let above = self.schema.fields(parent).iter().any(|field| field.name == entry.key);
        let (hint, meant) = match meant {
            Some(name) if !above || name.eq_ignore_ascii_case(&entry.key) => {
                ("decode.unknown.nearest.hint", name.to_owned())
            }
            _ if above => ("decode.unknown.above.hint", bare(parent).to_owned()),
            _ => {
                ("decode.unknown.hint", fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", "))
            }
        };
        self.report.error_at(
            entry.key_span,
            &path,
            "decode.unknown",
            Some(hint),
            &[&path, &meant, &entry.key],
        );
    }

    fn mismatch(&mut self, node: &'t Node, type_name: &str, hint: &'static str, owner: Owner<'s>) {
        let (found, text) = match &node.value {
            NodeValue::Sequence(_) => ("array".to_owned(), String::new()),
            NodeValue::Mapping(_) => ("object".to_owned(), String::new()),
            NodeValue::Scalar(Scalar::Text(text)) => ("string".to_owned(), text.clone()),
            NodeValue::Scalar(Scalar::Bool(flag)) => ("bool".to_owned(), flag.to_string()),
            NodeValue::Scalar(Scalar::Number(number)) if type_name.starts_with("int") => {
                (format!("number {number}"), number.to_string())
            }
            NodeValue::Scalar(other) => ("number".to_owned(), other.to_string()),
        };
        let text = node.source.as_deref().map_or(text, str::to_owned);
        let go_type = match type_name {
            "intorstring" => "intstr.IntOrString",
            other => other.split('@').next().unwrap_or(other),
        };
        let path = self.path();
        let place = format!("{}.{}", bare(owner.type_name), without_indices(&path));
        self.report.error_at(node.span, &path, "decode.type", Some(hint), &[&found, &place, go_type, &text]);
    }

    fn path(&self) -> String {
        self.steps.iter().fold(String::new(), |mut path, step| {
            step.write(&mut path);
            path
        })
    }

    fn child(&self, key: &str) -> String {
        let mut path = self.path();
        To::Field(key).write(&mut path);
        path
    }

    fn within(&mut self, step: To<'t>, inside: impl FnOnce(&mut Self)) {
        self.steps.push(step);
        inside(self);
        self.steps.pop();
    }
}

/// Whether this is one of Go's own types, which most values have and which no schema defines.
fn is_predeclared(type_name: &str) -> bool {
    matches!(type_name, "string" | "bool" | "int32" | "int64")
}

/// Where a text stops being base64 with padding; `None` where it is one.
fn wrong_base64(text: &str) -> Option<usize> {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let mut count = 0;
    let mut padding = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\r' | b'\n')) {
        if byte == b'=' && (count % 4 + padding) % 4 >= 2 {
            padding += 1;
        } else if digit(byte) && padding == 0 {
            count += 1;
        } else {
            return Some(at);
        }
    }
    ((count + padding) % 4 != 0).then_some(text.len() - (count + padding) % 4)
}

/// The name of a Go type without its package.
fn bare(type_name: &str) -> &str {
    let name = type_name.rsplit('.').next().unwrap_or(type_name);
    name.split('@').next().unwrap_or(name)
}

/// `spec.containers[0].name` as Go's decoder writes it: `spec.containers.name`.
fn without_indices(path: &str) -> String {
    path.split('[').enumerate().fold(String::new(), |text, (index, part)| {
        text + if index == 0 { part } else { part.split_once(']').map_or("", |(_, rest)| rest) }
    })
}
