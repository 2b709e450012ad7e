//! What the editor offers while a manifest is written: names of fields and values that may stand at the cursor, and
//! what a field means. It looks at indentation alone, so that it works in a text that cannot be read yet.

use super::schema::{Field, Type, schema};
use crate::base::Span;
use crate::base::words::{Lang, word_or_none};

/// A field or a value that may stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What is written.
    pub text: String,
    /// Its type, as `[]Container`; empty for a value.
    pub type_name: String,
    /// Whether the field must be there.
    pub required: bool,
    /// What it means, where that is known.
    pub help: Option<String>,
}

/// What may stand at the cursor, and what of the text it would take the place of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// The letters of it that are there already.
    pub span: Span,
    /// In the order of the alphabet, fields that must be there first.
    pub items: Vec<Offer>,
}

/// What stands under the pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// The field's name in the text.
    pub span: Span,
    /// Its path, as `Pod.spec.containers.ports`.
    pub path: String,
    /// Its type, as `[]ContainerPort`.
    pub type_name: String,
    /// What it means; empty where nothing is known of it.
    pub text: String,
}

/// Values of fields that take one of a few words.
const CHOICES: [(&str, &[&str]); 21] = [
    ("concurrencyPolicy", &["Allow", "Forbid", "Replace"]),
    ("cni", &["flannel", "bridge", "calico", "cilium"]),
    ("dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]),
    ("effect", &["NoSchedule", "PreferNoSchedule", "NoExecute"]),
    ("externalTrafficPolicy", &["Cluster", "Local"]),
    ("imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("internalTrafficPolicy", &["Cluster", "Local"]),
    ("ipFamilyPolicy", &["SingleStack", "PreferDualStack", "RequireDualStack"]),
    ("addressType", &["IPv4", "IPv6", "FQDN"]),
    ("podManagementPolicy", &["OrderedReady", "Parallel"]),
    ("policyTypes", &["Ingress", "Egress"]),
    ("protocol", &["TCP", "UDP", "SCTP"]),
    ("restartPolicy", &["Always", "OnFailure", "Never"]),
    ("scheme", &["HTTP", "HTTPS"]),
    ("sessionAffinity", &["None", "ClientIP"]),
    ("terminationMessagePolicy", &["File", "FallbackToLogsOnError"]),
    ("whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]),
    ("completionMode", &["NonIndexed", "Indexed"]),
    ("backend", &["vxlan", "host-gw", "ipip", "bgp", "gre", "ipsec", "ospf", "rip", "static"]),
    ("nic", &["veth", "physical"]),
    ("trafficDistribution", &["PreferSameZone", "PreferSameNode", "PreferClose"]),
];

/// A line of a manifest.
struct Line<'t> {
    start: usize,
    /// Where the key or the value begins, behind the dashes of list items.
    column: usize,
    /// Where the first dash stands.
    dash: Option<usize>,
    /// The key, where there is one, without quotes.
    key: Option<&'t str>,
    /// What stands behind the colon.
    value: &'t str,
}

fn line(start: usize, text: &str) -> Option<Line<'_>> {
    let mut column = text.len() - text.trim_start_matches(' ').len();
    let mut rest = &text[column..];
    if rest.is_empty() || rest.starts_with('#') {
        return None;
    }
    let mut dash = None;
    while let Some(after) = rest.strip_prefix("- ").or_else(|| (rest == "-").then_some("")) {
        dash.get_or_insert(column);
        let blanks = after.len() - after.trim_start_matches(' ').len();
        column += rest.len() - after.len() + blanks;
        rest = &after[blanks..];
    }
    let (key, value) = match rest.split_once(':') {
        Some((key, value)) if value.is_empty() || value.starts_with(' ') => {
            (Some(key.trim_matches(['"', '\''])), value.trim())
        }
        _ => (None, rest),
    };
    Some(Line { start, column, dash, key, value })
}

/// The document around a place: where it begins, and its lines up to the one at the place.
fn document(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let start = before.rfind("\n---").map_or(0, |at| at + 1);
    let end = text[offset..].find("\n---").map_or(text.len(), |at| offset + at);
    (start, end)
}

/// Where a place is: the kind of its document and the keys above it, outermost first.
struct Place<'t> {
    type_name: &'static str,
    kind: &'static str,
    above: Vec<&'t str>,
    /// The keys that stand beside it already.
    beside: Vec<&'t str>,
}

fn place(text: &str, offset: usize, column: usize) -> Option<Place<'_>> {
    let (start, end) = document(text, offset);
    let mut lines = Vec::new();
    let mut at = start;
    for part in text[start..end].split_inclusive('\n') {
        lines.extend(line(at, part.trim_end_matches(['\n', '\r'])));
        at += part.len();
    }
    let top =
        |name: &str| lines.iter().find(|one| one.column == 0 && one.key == Some(name)).map(|one| one.value);
    let kind = schema().kind(top("apiVersion")?, top("kind")?)?;
    let here = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let mut above = Vec::new();
    let mut beside = Vec::new();
    let mut limit = column;
    for one in lines.iter().rev().filter(|one| one.start < here) {
        let outer = one.dash.unwrap_or(one.column);
        if one.column == limit && above.is_empty() {
            beside.extend(one.key);
        }
        if one.column < limit && one.value.is_empty() {
            if let Some(key) = one.key {
                above.push(key);
                limit = outer.min(one.column);
            }
        } else if one.dash.is_some() && one.column == limit {
            // The list item that this line belongs to; what holds the list stands no further in than its dash.
            limit = outer + 1;
        }
        if limit == 0 {
            break;
        }
    }
    for one in lines.iter().filter(|one| one.start > here) {
        if one.column < column || one.dash.is_some_and(|dash| dash < column) {
            break;
        }
        if one.column == column {
            beside.extend(one.key);
        }
    }
    above.reverse();
    Some(Place { type_name: kind.type_name, kind: kind.name, above, beside })
}

/// The struct in which the keys `above` end, starting from a type.
fn fields_at(type_name: &'static str, above: &[&str]) -> Option<(&'static str, &'static [Field])> {
    let mut current = type_name;
    for key in above {
        if let Some(value) = current.strip_prefix("map[string]") {
            current = value;
            continue;
        }
        let field = schema().fields(current).iter().find(|field| field.name == *key)?;
        current = field.type_name;
        while let Some(element) = current.strip_prefix("[]") {
            current = element;
        }
    }
    matches!(schema().type_named(current), Some(Type::Struct(_))).then(|| (current, schema().fields(current)))
}

/// A type without its package: `[]v1.Container` is `[]Container`.
fn bare(type_name: &str) -> String {
    let list = "[]".repeat(type_name.matches("[]").count());
    let name = type_name.trim_start_matches("[]");
    let (map, name) = name.strip_prefix("map[string]").map_or(("", name), |name| ("map[string]", name));
    let name = name.rsplit('.').next().unwrap_or(name).split('@').next().unwrap_or(name);
    format!("{list}{map}{name}")
}

/// What a field means; the words stand in the catalogue under `field.STRUCT.NAME`.
pub fn field_help(lang: Lang, owner: &str, field: &str) -> Option<String> {
    word_or_none(lang, &format!("field.{}.{field}", bare(owner)))
}

/// What may stand at a place of a text.
pub fn offers(text: &str, offset: usize, lang: Lang) -> Offers {
    let offset = floor(text, offset);
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let before = &text[start..offset];
    let Some(own) = line(start, before) else {
        // An empty line: the indentation says where it is.
        return fields(text, offset, before.len(), Span { start: offset, end: offset }, lang);
    };
    let written = start + own.column;
    match own.key {
        None => fields(text, offset, own.column, Span { start: written, end: offset }, lang),
        Some(key) => {
            let known = CHOICES.iter().find(|(name, _)| *name == key).map_or(&[][..], |(_, values)| values);
            let span = Span { start: offset - own.value.len(), end: offset };
            let offer = |value: &&str| Offer {
                text: (*value).to_owned(),
                type_name: String::new(),
                required: false,
                help: None,
            };
            Offers { span, items: known.iter().map(offer).collect() }
        }
    }
}

fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn fields(text: &str, offset: usize, column: usize, span: Span, lang: Lang) -> Offers {
    let Some(place) = place(text, offset, column) else {
        return top_level(text, offset, column, span);
    };
    let Some((owner, fields)) = fields_at(place.type_name, &place.above) else { return Offers::default() };
    let mut items: Vec<Offer> = fields
        .iter()
        .filter(|field| !place.beside.contains(&field.name))
        .map(|field| Offer {
            text: field.name.to_owned(),
            type_name: bare(field.type_name),
            required: field.required,
            help: field_help(lang, owner, field.name),
        })
        .collect();
    items.sort_by_key(|item| !item.required);
    Offers { span, items }
}

/// Before the kind is known: the two lines that every object begins with.
fn top_level(text: &str, offset: usize, column: usize, span: Span) -> Offers {
    let (start, end) = document(text, offset);
    let has = |key: &str| text[start..end].lines().any(|line| line.starts_with(&format!("{key}:")));
    let keys = ["apiVersion", "kind", "metadata"].into_iter().filter(|key| column == 0 && !has(key));
    let offer =
        |key: &str| Offer { text: key.to_owned(), type_name: String::new(), required: true, help: None };
    Offers { span, items: keys.map(offer).collect() }
}

/// What stands at a place of a text.
pub fn help(text: &str, offset: usize, lang: Lang) -> Option<Help> {
    let offset = floor(text, offset);
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
    let own = line(start, text[start..end].trim_end_matches('\r'))?;
    let key = own.key?;
    let span = Span { start: start + own.column, end: start + own.column + key.len() };
    if !(span.start..=span.end).contains(&offset) {
        return None;
    }
    let place = place(text, start, own.column)?;
    let (owner, fields) = fields_at(place.type_name, &place.above)?;
    let field = fields.iter().find(|field| field.name == key)?;
    let path: Vec<&str> = [place.kind].into_iter().chain(place.above.iter().copied()).chain([key]).collect();
    let text = field_help(lang, owner, key).unwrap_or_default();
    Some(Help { span, path: path.join("."), type_name: bare(field.type_name), text })
}

/// A field of a kind, for `kubectl explain`: its type, its owner, and the fields inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Its type; that of the kind for the kind itself.
    pub type_name: String,
    /// What it means.
    pub text: String,
    /// Name, type and whether it is required of each field inside, in the order of the alphabet; with what it means.
    pub fields: Vec<(String, String, bool, String)>,
}

/// Explains the field at `path` of a kind; the error is the name that is not there.
pub fn explain<'p>(
    api_version: &str,
    kind: &str,
    path: &[&'p str],
    lang: Lang,
) -> Result<Explained, &'p str> {
    let Some(known) = schema().kind(api_version, kind) else {
        return Err(path.first().copied().unwrap_or(""));
    };
    let mut current = known.type_name;
    let mut shown = current;
    let mut text = field_help(lang, "kind", kind).unwrap_or_default();
    for name in path {
        let owner = current;
        let field = schema().fields(owner).iter().find(|field| field.name == *name).ok_or(*name)?;
        text = field_help(lang, owner, name).unwrap_or_default();
        shown = field.type_name;
        current = shown;
        while let Some(inner) = current.strip_prefix("[]").or_else(|| current.strip_prefix("map[string]")) {
            current = inner;
        }
    }
    let mut fields: Vec<(String, String, bool, String)> = schema()
        .fields(current)
        .iter()
        .map(|field| {
            let help = field_help(lang, current, field.name).unwrap_or_default();
            (field.name.to_owned(), bare(field.type_name), field.required, help)
        })
        .collect();
    fields.sort();
    Ok(Explained { type_name: bare(shown), text, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: c\n    ports:\n    - containerPort: 80\n      \n    im\n  dnsPolicy: \n---\nkind: Service\n";

    fn at(marker: &str) -> usize {
        POD.find(marker).unwrap() + marker.len()
    }

    fn names(offset: usize) -> Vec<String> {
        offers(POD, offset, Lang::En).items.into_iter().map(|item| item.text).collect()
    }

    #[test]
    fn fields_are_offered_where_they_may_stand() {
        let ports = names(at("containerPort: 80\n      "));
        assert!(
            ports.contains(&"hostPort".to_owned()) && !ports.contains(&"containerPort".to_owned()),
            "{ports:?}"
        );
        let container = offers(POD, at("\n    im"), Lang::En);
        assert_eq!(&POD[container.span.start..container.span.end], "im");
        let container: Vec<&str> = container.items.iter().map(|item| item.text.as_str()).collect();
        assert!(
            container.contains(&"image") && !container.contains(&"name") && !container.contains(&"hostPort"),
            "{container:?}"
        );
        assert_eq!(names(at("dnsPolicy: ")), ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]);
        assert_eq!(names(POD.len()), ["apiVersion", "metadata"]);
    }

    #[test]
    fn help_names_the_field_under_the_pointer() {
        let help = help(POD, at("containerPo"), Lang::En).unwrap();
        assert_eq!(
            (help.path.as_str(), help.type_name.as_str()),
            ("Pod.spec.containers.ports.containerPort", "int32")
        );
        assert!(!help.text.is_empty());
        assert_eq!(super::help(POD, at("containerPort: 8"), Lang::En), None);
    }

    #[test]
    fn no_place_of_a_text_makes_it_fail() {
        for offset in 0..=POD.len() + 2 {
            let offers = offers(POD, offset, Lang::Ko);
            assert!(offers.span.start <= offers.span.end && offers.span.end <= POD.len());
            help(POD, offset, Lang::Ko);
        }
        for text in ["", "-", "- -", ":", "a:\n  -", "---\n---", "노드: 값\n  ", "{a: b"] {
            for offset in 0..=text.len() {
                offers(text, offset, Lang::En);
                help(text, offset, Lang::En);
            }
        }
    }

    #[test]
    fn fields_are_explained_by_their_path() {
        let ports = explain("v1", "Pod", &["spec", "containers", "ports"], Lang::En).unwrap();
        assert_eq!(ports.type_name, "[]ContainerPort");
        assert!(ports.fields.iter().any(|(name, type_name, required, _)| name == "containerPort"
            && type_name == "int32"
            && *required));
        assert_eq!(explain("v1", "Pod", &["spec", "nope"], Lang::En), Err("nope"));
    }

    #[test]
    fn every_field_with_words_is_a_field() {
        for line in include_str!("../base/words/en/fields.txt").lines().filter(|line| !line.starts_with('#'))
        {
            let key = line.split(" = ").next().unwrap();
            let parts: Vec<&str> = key.split('.').collect();
            let [_, owner, field] = parts[..] else { panic!("{key}") };
            if owner == "kind" {
                assert!(schema().kinds.iter().any(|kind| kind.name == field), "{key}");
            } else {
                assert!(
                    schema().type_names().any(|name| bare(name) == owner
                        && schema().fields(name).iter().any(|one| one.name == field)),
                    "{key}"
                );
            }
        }
    }
}
