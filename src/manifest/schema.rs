//! Which kinds there are and which fields they have, read from the compact files in `schema/`.
//!
//! `kind GROUP/VERSION KIND SCOPE TYPE` names a kind; `: NAME` opens a type, written as in Go, and the lines after it
//! are its fields (`!` marks a required one) or `= FORM` for what is no struct.

use indexmap::IndexMap;
use std::sync::OnceLock;

/// A kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Group and version.
    pub(super) api_version: &'static str,
    /// Name of the kind.
    pub(super) name: &'static str,
    /// Whether its objects live in namespaces.
    pub(super) namespaced: bool,
    /// Its type.
    pub(super) type_name: &'static str,
}

/// A type that has a name.
#[derive(Clone, Debug)]
pub(super) enum Type {
    /// A struct with its fields in order.
    Struct(Vec<Field>),
    /// Another form: `string`, `any`, `quantity` or `intorstring`.
    Form(&'static str),
}

/// A field of a struct.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Name.
    pub(super) name: &'static str,
    /// Type, as `[]v1.Container`.
    pub(super) type_name: &'static str,
    /// Whether it must be there.
    pub(super) required: bool,
}

/// All kinds and types.
#[derive(Debug, Default)]
pub(super) struct Schema {
    /// Kinds in the order of the files.
    pub(super) kinds: Vec<Kind>,
    types: IndexMap<&'static str, Type>,
}

impl Schema {
    /// The type of this name; none for what is no named type.
    pub(super) fn type_named(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    /// The names of all types.
    #[cfg(test)]
    pub(super) fn type_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.types.keys().copied()
    }

    /// The fields of a struct; none for anything else.
    pub(super) fn fields(&self, name: &str) -> &[Field] {
        match self.types.get(name) {
            Some(Type::Struct(fields)) => fields,
            Some(Type::Form(_)) | None => &[],
        }
    }

    /// The kind of this version and name.
    pub(super) fn kind(&self, api_version: &str, kind: &str) -> Option<Kind> {
        self.kinds.iter().copied().find(|known| known.api_version == api_version && known.name == kind)
    }
}

/// The schema, read once.
pub(super) fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema = Schema::default();
        load(&mut schema, include_str!("schema/kubernetes.txt"));
        load(&mut schema, include_str!("schema/network-policy-api.txt"));
        load(&mut schema, include_str!("schema/cluster.txt"));
        schema
    })
}

fn load(schema: &mut Schema, text: &'static str) {
    let mut current = "";
    for line in text.lines() {
        let words = line.split(' ').collect::<Vec<_>>();
        match words[..] {
            ["kind", api_version, name, scope, type_name] => {
                schema.kinds.push(Kind { api_version, name, namespaced: scope == "Namespaced", type_name });
            }
            [":", name] => {
                current = name;
                schema.types.insert(name, Type::Struct(Vec::new()));
            }
            ["=", form] => {
                schema.types.insert(current, Type::Form(form));
            }
            [name, type_name] => {
                let field =
                    Field { name: name.trim_end_matches('!'), type_name, required: name.ends_with('!') };
                if let Some(Type::Struct(fields)) = schema.types.get_mut(current) {
                    fields.push(field);
                }
            }
            _ => {}
        }
    }
}

/// The name among `names` that was probably meant by `word`, if one is near enough: it differs in a third of its
/// letters at most, or one contains the other.
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // A word that long is no misspelling, and comparing it would be slow.
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    let distance = |name: &'n str| {
        let other = name.to_lowercase();
        let inside = lower.len() > 2 && other.len() > 2 && (lower.contains(&other) || other.contains(&lower));
        let distance = strsim::damerau_levenshtein(&lower, &other);
        (distance <= (name.len().max(word.len()) / 3).max(1) || inside).then_some((distance, name))
    };
    names.into_iter().filter_map(distance).min_by_key(|&(distance, _)| distance).map(|(_, name)| name)
}
