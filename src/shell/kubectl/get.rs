//! `kubectl get`.

use super::flags::{Flag, Words, optional, read, switch, value};
use super::json::{entries, plain, text};
use super::labels::{self, Labels};
use super::print::{self, Look};
use super::resources::{Resource, is_kept, named};
use super::scale::{self, Subresource};
use super::select::{self, Fields};
use super::table::{first_line, layout};
use super::{gotemplate, jsonpath, kyaml, raw, view, watch, yaml};
use crate::shell::out::{Out, refuse};
use crate::shell::{Command, Context};
use crate::trace::Inventory;
use serde_json::{Value, json};

const FLAGS: [Flag; 18] = [
    value("subresource", ' '),
    value("raw", ' '),
    switch("watch", 'w'),
    switch("watch-only", ' '),
    switch("all-namespaces", 'A'),
    value("output", 'o'),
    value("selector", 'l'),
    value("field-selector", ' '),
    switch("show-labels", ' '),
    switch("no-headers", ' '),
    value("sort-by", ' '),
    switch("show-kind", ' '),
    value("label-columns", 'L'),
    switch("ignore-not-found", ' '),
    value("chunk-size", ' '),
    switch("show-managed-fields", ' '),
    switch("allow-missing-template-keys", ' '),
    optional("server-print", "true"),
];
const OTHERS: [&str; 5] = ["output-watch-events", "recursive", "filename", "kustomize", "template"];

/// Form of the output.
#[derive(Clone, Debug)]
pub(super) enum Format {
    Table { wide: bool },
    Json,
    Yaml,
    Kyaml,
    Name,
    Path(jsonpath::Template),
    PathAsJson(jsonpath::Template),
    Go(gotemplate::Template),
    Columns(Vec<(String, jsonpath::Template)>),
}

/// What is asked for.
pub(super) struct Query {
    /// Types with the names asked for; all of their objects where there are none.
    pub(super) wanted: Vec<(&'static Resource, Vec<String>)>,
    /// Namespace; `None` for all.
    pub(super) namespace: Option<String>,
    pub(super) format: Format,
    pub(super) labels: Labels,
    pub(super) fields: Fields,
    sort: Option<(String, jsonpath::Template)>,
    subresource: Subresource,
    pub(super) words: Words,
}

const NO_TYPE: &str = "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete \
    list of supported resources.\n\nerror: Required resource not specified.\nUse \"kubectl explain <resource>\" \
    for a detailed description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and \
    examples\n";

/// `kubectl get` with these words after it; `namespace` is the one that it uses unless told otherwise.
pub(super) fn get(context: &Context<'_>, words: &[String]) -> Command {
    let (inventory, namespace) = (context.inventory, context.kube_namespace);
    let words = match with_files(context, words) {
        Ok(words) => words,
        Err(text) => return refuse(text, 1),
    };
    match read("get", &FLAGS, &OTHERS, &words).and_then(|words| command(inventory, namespace, words)) {
        Ok(command) => command,
        Err(text) => refuse(text, 1),
    }
}

/// The words of a command line with the files that `-o` names read: `jsonpath-file=FILE` becomes `jsonpath=TEXT`.
fn with_files(context: &Context<'_>, words: &[String]) -> Result<Vec<String>, String> {
    let forms = [
        ("jsonpath-file=", "jsonpath="),
        ("go-template-file=", "go-template="),
        ("templatefile=", "go-template="),
        ("custom-columns-file=", "custom-columns="),
    ];
    let one = |word: &String| {
        let head = if word.starts_with("--output=") {
            "--output="
        } else if word.starts_with("-o") {
            "-o"
        } else {
            ""
        };
        let rest = &word[head.len()..];
        let form = forms.iter().find_map(|(form, plain)| Some((*form, *plain, rest.strip_prefix(form)?)));
        let Some((form, plain, file)) = form else { return Ok(word.clone()) };
        let missing = |file: &str| {
            let what = if form == "custom-columns-file=" {
                String::new()
            } else {
                format!("error reading template {file}, ")
            };
            format!("error: {what}open {file}: no such file or directory\n")
        };
        let text = (context.files)(file).ok_or_else(|| missing(file))?;
        if form != "custom-columns-file=" {
            return Ok(format!("{head}{plain}{text}"));
        }
        // The first line has the heads, the second the paths.
        let mut lines = text.lines();
        let mut row = || lines.next().unwrap_or("").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (heads, paths) = (row(), row());
        let columns: Vec<String> =
            heads.iter().zip(&paths).map(|(head, path)| format!("{head}:{path}")).collect();
        Ok(format!("{head}{plain}{}", columns.join(",")))
    };
    words.iter().map(one).collect()
}

fn command(inventory: &Inventory, namespace: &str, words: Words) -> Result<Command, String> {
    if let Some(path) = words.value("raw") {
        return Ok(raw::raw(path));
    }
    let query = query(words, namespace)?;
    if query.words.is_set("watch") || query.words.is_set("watch-only") {
        return watch::watch(query);
    }
    Ok(answer(inventory, &query))
}

fn query(words: Words, namespace: &str) -> Result<Query, String> {
    let all = words.is_set("all-namespaces");
    let wanted = wanted("get", &words.operands, NO_TYPE)?;
    let selector = words.value("selector").unwrap_or("").trim();
    let labels = labels::labels(selector).map_err(|why| {
        labels::refused(wanted[0].0, selector, words.value("field-selector").unwrap_or(""), &why)
    })?;
    let query = Query {
        wanted,
        namespace: Some(words.namespace(namespace).to_owned()).filter(|_| !all),
        format: format(words.value("output").unwrap_or(""))?,
        labels,
        fields: select::fields(words.value("field-selector").unwrap_or(""))?,
        sort: match words.value("sort-by") {
            Some(text) => {
                Some((text.to_owned(), jsonpath::path(text).map_err(|why| format!("error: {why}\n"))?))
            }
            None => None,
        },
        subresource: Subresource::read(words.value("subresource"))?,
        words,
    };
    if query.subresource == Subresource::Scale
        && let Some((resource, _)) = query.wanted.iter().find(|(resource, _)| !scale::scales(resource.kind))
    {
        let what = resource.plural_with_group();
        return Err(format!(
            "Error from server (NotFound): the server could not find the requested resource ({what})\n"
        ));
    }
    let named = query.wanted.iter().any(|(_, names)| !names.is_empty());
    let namespaced = query.wanted.iter().any(|(resource, _)| resource.namespaced);
    if named && query.namespace.is_none() && namespaced {
        return Err("error: a resource cannot be retrieved by name across all namespaces\n".to_owned());
    }
    if named && !query.labels.is_empty() {
        return Err("error: name cannot be provided when a selector is specified\n".to_owned());
    }
    if let Some(text) = query.wanted.iter().find_map(|(resource, _)| query.fields.objection(resource)) {
        return Err(text);
    }
    Ok(query)
}

fn format(word: &str) -> Result<Format, String> {
    let wrong = |why: String| format!("error: {why}\n");
    if let Some((form @ ("jsonpath" | "jsonpath-as-json"), text)) = word.split_once('=') {
        let template =
            jsonpath::template(text).map_err(|why| wrong(format!("error parsing jsonpath {text}, {why}")))?;
        return Ok(if form == "jsonpath" { Format::Path(template) } else { Format::PathAsJson(template) });
    }
    if let Some(("go-template" | "template", text)) = word.split_once('=') {
        let template = gotemplate::template(text)
            .map_err(|why| wrong(format!("error parsing template {text}, {why}")))?;
        return Ok(Format::Go(template));
    }
    if let Some(text) = word.strip_prefix("custom-columns=") {
        let column = |part: &str| {
            let (head, path) = part.split_once(':').ok_or_else(|| {
                wrong(format!("unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"))
            })?;
            jsonpath::path(path).map(|path| (head.to_owned(), path)).map_err(wrong)
        };
        return text.split(',').map(column).collect::<Result<_, _>>().map(Format::Columns);
    }
    Ok(match word {
        "" => Format::Table { wide: false },
        "wide" => Format::Table { wide: true },
        "json" => Format::Json,
        "yaml" => Format::Yaml,
        "kyaml" => Format::Kyaml,
        "name" => Format::Name,
        "custom-columns" => {
            return Err(wrong("custom-columns format specified but no custom columns given".to_owned()));
        }
        "jsonpath" | "go-template" | "template" | "jsonpath-as-json" => {
            return Err(wrong("template format specified but no template given".to_owned()));
        }
        _ => {
            return Err(format!(
                "error: unable to match a printer suitable for the output format \"{word}\", allowed formats are: \
                 custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,\
                 jsonpath-file,kyaml,name,template,templatefile,wide,yaml\n"
            ));
        }
    })
}

/// The types and names that the operands of a verb name: `TYPE[,TYPE] [NAME…]` or `TYPE/NAME…`.
pub(super) fn wanted(
    verb: &str,
    operands: &[String],
    none: &str,
) -> Result<Vec<(&'static Resource, Vec<String>)>, String> {
    let Some((first, rest)) = operands.split_first() else { return Err(none.to_owned()) };
    let types = |word: &str| -> Result<Vec<&'static Resource>, String> {
        let found = named(word);
        if found.is_empty() {
            return Err(format!("error: the server doesn't have a resource type \"{word}\"\n"));
        }
        Ok(found.into_iter().filter(|one| is_kept(one)).collect())
    };
    if operands.iter().any(|operand| operand.contains('/')) {
        let mut wanted: Vec<(&Resource, Vec<String>)> = Vec::new();
        for operand in operands {
            let Some((kind, name)) = operand.split_once('/') else {
                let text = format!(
                    "there is no need to specify a resource type as a separate argument when passing arguments in \
                     resource/name form (e.g. 'kubectl {verb} resource/<resource_name>' instead of 'kubectl {verb} \
                     resource resource/<resource_name>'"
                );
                return Err(format!("error: {text}\n"));
            };
            for resource in types(kind)? {
                match wanted.iter_mut().find(|(other, _)| *other == resource) {
                    Some((_, names)) => names.push(name.to_owned()),
                    None => wanted.push((resource, vec![name.to_owned()])),
                }
            }
        }
        return Ok(wanted);
    }
    let mut wanted: Vec<(&Resource, Vec<String>)> = Vec::new();
    for word in first.split(',') {
        for resource in types(word)? {
            if !wanted.iter().any(|(other, _)| *other == resource) {
                wanted.push((resource, rest.to_vec()));
            }
        }
    }
    Ok(wanted)
}

/// The message for an object that is not there.
pub(super) fn not_found(resource: &Resource, name: &str) -> String {
    format!("Error from server (NotFound): {} \"{name}\" not found\n", resource.plural_with_group())
}

/// What the API server warns of whoever asks for these types (`APILifecycleDeprecated`); kubectl says it once.
pub(super) fn deprecation<'w>(mut wanted: impl Iterator<Item = &'w Resource>) -> &'static str {
    const ENDPOINTS: &str =
        "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\n";
    if wanted.any(|resource| resource.kind == "Endpoints") { ENDPOINTS } else { "" }
}

fn answer(inventory: &Inventory, query: &Query) -> Command {
    let mut missing = Out::default();
    let mut status = 0;
    let mut found: Vec<(&Resource, Vec<Value>)> = Vec::new();
    for (resource, names) in &query.wanted {
        let mut objects = view::objects(inventory, resource);
        objects.retain(|object| {
            let here = query
                .namespace
                .as_deref()
                .is_none_or(|namespace| text(object, "metadata.namespace") == namespace);
            (here || !resource.namespaced) && query.labels.selects(object) && query.fields.selects(object)
        });
        if !names.is_empty() {
            let all = std::mem::take(&mut objects);
            for name in names {
                let one = all.iter().find(|object| text(object, "metadata.name") == name);
                if one.is_none() && !query.words.is_set("ignore-not-found") {
                    missing.err(not_found(resource, name));
                    status = 1;
                }
                objects.extend(one.cloned());
            }
        }
        if query.subresource == Subresource::Scale {
            objects = objects.iter().map(scale::scale).collect();
        }
        found.push((resource, objects));
    }
    if let Some((text, path)) = &query.sort
        && let Err(message) = sort(&mut found, text, path)
    {
        return refuse(message, 1);
    }
    let nothing = found.iter().all(|(_, objects)| objects.is_empty());
    let mut out = Out::default();
    out.err(deprecation(found.iter().map(|(resource, _)| *resource)));
    if !(nothing && status != 0) {
        status |= print(query, inventory, &found, &mut out);
    }
    // What was found comes first, what was not after it.
    out.append(missing);
    out.done(status)
}

/// Sorts by what a path finds, numbers by their value and everything else by its text.
fn sort(found: &mut [(&Resource, Vec<Value>)], text: &str, path: &jsonpath::Template) -> Result<(), String> {
    let key = |object: &Value| {
        // What is not there comes first (`isLess`).
        let found = path.find(object);
        let value = found.first().filter(|value| !value.is_null());
        value.map_or((None, String::new()), |value| (value.as_i64(), plain(value)))
    };
    let any = |objects: &[Value]| objects.iter().any(|object| !path.find(object).is_empty());
    if !found.iter().all(|(_, objects)| objects.is_empty() || any(objects)) {
        let shown = if text.starts_with('{') { text.to_owned() } else { format!("{{{text}}}") };
        return Err(format!("error: couldn't find any field with path \"{shown}\" in the list of objects\n"));
    }
    for (_, objects) in found {
        objects.sort_by_cached_key(key);
    }
    Ok(())
}

fn print(query: &Query, inventory: &Inventory, found: &[(&Resource, Vec<Value>)], out: &mut Out) -> u8 {
    let single = query.wanted.len() == 1 && query.wanted[0].1.len() == 1;
    let all = || found.iter().flat_map(|(_, objects)| objects.iter().cloned()).collect::<Vec<_>>();
    if single && all().is_empty() {
        return 0;
    }
    match &query.format {
        Format::Table { wide } => print_tables(query, found, Look { now: inventory.now, wide: *wide }, out),
        Format::Name => {
            for (resource, objects) in found {
                for object in objects {
                    out.out(format!("{}/{}\n", resource.singular(), text(object, "metadata.name")));
                }
            }
        }
        Format::Json => out.out(yaml::json(&yaml::sorted(&document(all(), single)))),
        Format::Kyaml => out.out(kyaml::kyaml(&yaml::sorted(&document(all(), single)))),
        Format::Yaml => out.out(yaml::yaml(&yaml::sorted(&document(all(), single)))),
        Format::Path(template) => out.out(template.fill(&yaml::sorted(&document(all(), single)))),
        Format::PathAsJson(template) => {
            out.out(template.fill_as_json(&yaml::sorted(&document(all(), single))));
        }
        Format::Go(template) => match template.fill(&yaml::sorted(&document(all(), single))) {
            Ok(text) => out.out(text),
            Err(why) => {
                let text = query
                    .words
                    .value("output")
                    .and_then(|word| word.split_once('='))
                    .map_or("", |(_, text)| text);
                out.err(format!("error: error executing template \"{text}\": template: output:1: {why}\n"));
                return 1;
            }
        },
        Format::Columns(columns) => {
            let mut rows: Vec<Vec<String>> = Vec::new();
            if !query.words.is_set("no-headers") {
                rows.push(columns.iter().map(|(head, _)| head.clone()).collect());
            }
            for object in all() {
                let cell = |path: &jsonpath::Template| {
                    let values: Vec<String> = path.find(&object).into_iter().map(plain).collect();
                    if values.is_empty() { "<none>".to_owned() } else { values.join(",") }
                };
                rows.push(columns.iter().map(|(_, path)| cell(path)).collect());
            }
            out.out(layout(&rows));
        }
    }
    0
}

fn document(mut values: Vec<Value>, single: bool) -> Value {
    match values.len() {
        1 if single => values.remove(0),
        _ => {
            json!({"apiVersion": "v1", "items": values, "kind": "List", "metadata": {"resourceVersion": ""}})
        }
    }
}

fn print_tables(query: &Query, found: &[(&Resource, Vec<Value>)], look: Look, out: &mut Out) {
    let several = found.len() > 1 || query.words.is_set("show-kind");
    if found.iter().all(|(_, objects)| objects.is_empty()) {
        if query.wanted.iter().all(|(_, names)| names.is_empty()) {
            let namespaced = found.iter().any(|(resource, _)| resource.namespaced);
            out.err(match query.namespace.as_deref().filter(|_| namespaced) {
                Some(namespace) => format!("No resources found in {namespace} namespace.\n"),
                None => "No resources found\n".to_owned(),
            });
        }
        return;
    }
    let mut first = true;
    for (resource, objects) in found.iter().filter(|(_, objects)| !objects.is_empty()) {
        if !first {
            out.out("\n");
        }
        first = false;
        let prefix = if several { format!("{}/", resource.singular()) } else { String::new() };
        out.out(table(query, resource, objects, (look, &prefix)));
    }
}

fn table(query: &Query, resource: &Resource, objects: &[Value], looks: (Look, &str)) -> String {
    layout(&rows(query, resource, objects, looks))
}

/// The rows of a table, with its head unless it is not wanted.
pub(super) fn rows(
    query: &Query,
    resource: &Resource,
    objects: &[Value],
    (look, prefix): (Look, &str),
) -> Vec<Vec<String>> {
    let kind = if query.subresource == Subresource::Scale { "Scale" } else { resource.kind };
    let with_namespace = query.namespace.is_none() && resource.namespaced;
    let show_labels = query.words.is_set("show-labels");
    let label_columns = query.words.values("label-columns");
    let mut rows: Vec<Vec<String>> = Vec::new();
    if !query.words.is_set("no-headers") {
        let mut head: Vec<String> = Vec::new();
        head.extend(with_namespace.then(|| "NAMESPACE".to_owned()));
        head.extend(print::headers(kind, look.wide).into_iter().map(str::to_owned));
        head.extend(
            label_columns.iter().map(|label| label.rsplit('/').next().unwrap_or(label).to_uppercase()),
        );
        head.extend(show_labels.then(|| "LABELS".to_owned()));
        rows.push(head);
    }
    for object in objects {
        let mut cells: Vec<String> =
            print::cells(kind, object, look).iter().map(|cell| first_line(cell)).collect();
        if let Some(cell) = print::name_cell(kind, look.wide).and_then(|at| cells.get_mut(at)) {
            cell.insert_str(0, prefix);
        }
        if with_namespace {
            cells.insert(0, text(object, "metadata.namespace").to_owned());
        }
        let labels = entries(object, "metadata.labels");
        for wanted in &label_columns {
            let value = labels.iter().find(|(key, _)| key == wanted).map(|(_, value)| plain(value));
            cells.push(value.unwrap_or_default());
        }
        if show_labels {
            cells.push(super::json::labels(object, "metadata.labels"));
        }
        rows.push(cells);
    }
    rows
}
