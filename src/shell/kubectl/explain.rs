//! `kubectl explain`: the fields of a type, from the schema. The long texts of the real server's documentation are not
//! there; fields about the network have a sentence of our own.

use super::flags::{read, switch, value};
use super::resources::named;
use crate::base::words::Lang;
use crate::manifest;
use crate::shell::Command;
use crate::shell::out::{answer, refuse};
use std::fmt::Write as _;

const NO_TYPE: &str = "error: You must specify the type of resource to explain. Use \"kubectl api-resources\" for a \
    complete list of supported resources.\n";

/// `kubectl explain` with these words after it.
pub(super) fn explain(words: &[String]) -> Command {
    let known = [switch("recursive", ' '), value("api-version", ' ')];
    let words = match read("explain", &known, &["output"], words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    let [operand] = &words.operands[..] else {
        return refuse(
            if words.operands.is_empty() {
                NO_TYPE
            } else {
                "error: We accept only this format: explain RESOURCE\n"
            },
            1,
        );
    };
    let mut parts = operand.split('.').filter(|part| !part.is_empty());
    let kind = parts.next().unwrap_or("");
    let Some(resource) = named(kind).first().copied() else {
        return refuse(format!("error: the server doesn't have a resource type \"{kind}\"\n"), 1);
    };
    let path: Vec<&str> = parts.collect();
    let explained = match manifest::explain(resource.api_version, resource.kind, &path, Lang::En) {
        Ok(explained) => explained,
        Err(name) => return refuse(format!("error: field \"{name}\" does not exist\n"), 1),
    };
    let mut out = String::new();
    if !resource.group().is_empty() {
        let _ = writeln!(out, "GROUP:      {}", resource.group());
    }
    let version = resource.api_version.rsplit('/').next().unwrap_or("");
    let _ = write!(out, "KIND:       {}\nVERSION:    {version}\n\n", resource.kind);
    if let Some(last) = path.last() {
        let _ = write!(out, "FIELD: {last} <{}>\n\n\n", shown(&explained.type_name));
    }
    let text = if explained.text.is_empty() { "<empty>" } else { &explained.text };
    let _ = write!(out, "DESCRIPTION:\n    {text}\n    \n");
    if !explained.fields.is_empty() {
        out.push_str("FIELDS:\n");
        if words.is_set("recursive") {
            recursive((resource.api_version, resource.kind), &path, 1, &mut out);
            out.push('\n');
        } else {
            for (name, type_name, required, help) in &explained.fields {
                let mark = if *required { " -required-" } else { "" };
                let help = if help.is_empty() { "<no description>" } else { help };
                let _ = write!(out, "  {name}\t<{}>{mark}\n    {help}\n\n", shown(type_name));
            }
        }
    }
    out.push('\n');
    answer(out)
}

/// A type by the name that the client gives it.
fn shown(type_name: &str) -> String {
    let element = type_name.trim_start_matches("[]");
    let lists = &type_name[..type_name.len() - element.len()];
    let (map, element) =
        element.strip_prefix("map[string]").map_or(("", element), |rest| ("map[string]", rest));
    let element = match element {
        "int32" | "int64" => "integer",
        "bool" => "boolean",
        "float64" => "number",
        "Time" | "MicroTime" | "uint8" => "string",
        "any" => "Object",
        other => other,
    };
    format!("{lists}{map}{element}")
}

/// Fields of fields; a type that holds itself ends the descent, as does the tenth level.
fn recursive(of: (&str, &str), path: &[&str], depth: usize, out: &mut String) {
    let Ok(explained) = manifest::explain(of.0, of.1, path, Lang::En) else { return };
    for (name, type_name, required, _) in &explained.fields {
        let mark = if *required { " -required-" } else { "" };
        let _ = writeln!(out, "{}{name}\t<{}>{mark}", "  ".repeat(depth), shown(type_name));
        if depth < 10 && name != "managedFields" {
            let inner: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
            recursive(of, &inner, depth + 1, out);
        }
    }
}
