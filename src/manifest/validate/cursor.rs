//! Walking through an object while remembering the path, and saying what is wrong there.

use super::names::Fault;
use crate::base::words::{self, Lang};
use crate::manifest::path::To;
use crate::manifest::report::Report;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt::Display;
use std::rc::Rc;

/// A value with its place. Most are asked what they are and nothing is said of them, so the steps that lead to them are
/// written out only where they are told.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'v> {
    /// The value; null for what is not there.
    pub(super) value: &'v Value,
    place: Place<'v>,
}

/// Where a value stands. Only steps to what has something in it are made to be shared from the first.
#[derive(Clone, Debug)]
enum Place<'v> {
    Object,
    Within(Rc<Step<'v>>),
    End(Step<'v>),
}

/// A step, and the one before it.
#[derive(Clone, Debug)]
struct Step<'v> {
    before: Option<Rc<Step<'v>>>,
    to: To<'v>,
}

impl Step<'_> {
    fn write(&self, path: &mut String) {
        if let Some(before) = &self.before {
            before.write(path);
        }
        self.to.write(path);
    }
}

const NULL: &Value = &Value::Null;

/// In a map of at most this many fields a field is looked for one by one, which takes less than its hash does.
const FEW: usize = 8;

fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let fields = value.as_object()?;
    if fields.len() > FEW {
        return fields.get(name);
    }
    fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

impl<'v> Cursor<'v> {
    /// The object itself.
    pub(super) fn root(value: &'v Value) -> Self {
        Self { value, place: Place::Object }
    }

    fn last(&self) -> Option<&Step<'v>> {
        match &self.place {
            Place::Object => None,
            Place::Within(step) => Some(step),
            Place::End(step) => Some(step),
        }
    }

    /// Its path, as `spec.containers[0].name`.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        if let Some(last) = self.last() {
            last.write(&mut path);
        }
        path
    }

    /// The steps to it, for those that go on from here.
    fn steps(&self) -> Option<Rc<Step<'v>>> {
        match &self.place {
            Place::Object => None,
            Place::Within(step) => Some(step.clone()),
            Place::End(step) => Some(Rc::new(step.clone())),
        }
    }

    fn after(before: Option<Rc<Step<'v>>>, to: To<'v>, value: &'v Value) -> Self {
        let step = Step { before, to };
        let place = if value.is_object() || value.is_array() {
            Place::Within(Rc::new(step))
        } else {
            Place::End(step)
        };
        Self { value, place }
    }

    /// A field.
    pub(super) fn get(&self, name: &'v str) -> Self {
        Self::after(self.steps(), To::Field(name), field(self.value, name).unwrap_or(NULL))
    }

    /// The elements of a list.
    pub(super) fn items(&self) -> impl Iterator<Item = Self> + use<'v> {
        let items: &'v [Value] = self.value.as_array().map_or(&[], Vec::as_slice);
        let steps = if items.is_empty() { None } else { self.steps() };
        items
            .iter()
            .enumerate()
            .map(move |(index, value)| Self::after(steps.clone(), To::Element(index), value))
    }

    /// The entries of a map.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'v String, Self)> + use<'v> {
        let steps = self.steps();
        let entries = self.value.as_object().into_iter().flat_map(Map::iter);
        entries.map(move |(key, value)| (key, Self::after(steps.clone(), To::Entry(key), value)))
    }

    /// How many elements a list has.
    pub(super) fn len(&self) -> usize {
        self.value.as_array().map_or(0, Vec::len)
    }

    /// The text of a string; empty for what is not there.
    pub(super) fn text(&self) -> &'v str {
        self.value.as_str().unwrap_or("")
    }

    /// The number; 0 for what is not there.
    pub(super) fn number(&self) -> i64 {
        self.value.as_i64().unwrap_or(0)
    }

    /// Whether a value stands here.
    pub(super) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// `Invalid value: …: WHY` for each fault.
    pub(super) fn invalid(&self, report: &mut Report<'_>, faults: Vec<Fault>) {
        if faults.is_empty() {
            return;
        }
        self.faulty(report, &self.shown(), faults);
    }

    /// The same of a value that is shown in another form.
    pub(super) fn faulty(&self, report: &mut Report<'_>, shown: &str, faults: Vec<Fault>) {
        for (message, args) in faults {
            let args = std::iter::once(shown).chain(args.iter().map(String::as_str)).collect::<Vec<_>>();
            report.error(&self.path(), message, Some("invalid.name.hint"), &args);
        }
    }

    /// The value of another place, told of as if it stood here: upstream names some places without their index.
    pub(super) fn in_place_of(&self, other: &Self) -> Self {
        Self { value: other.value, place: self.place.clone() }
    }

    /// `Invalid value: …: WHY` with a remedy; `{0}` is the value.
    pub(super) fn fault(
        &self,
        report: &mut Report<'_>,
        message: &'static str,
        hint: &'static str,
        args: &[&str],
    ) {
        let shown = self.shown();
        let args = std::iter::once(shown.as_str()).chain(args.iter().copied()).collect::<Vec<_>>();
        report.error(&self.path(), message, Some(hint), &args);
    }

    /// `Invalid value: …: WHY`, where WHY is the API server's own sentence.
    pub(super) fn because(&self, report: &mut Report<'_>, why: &str) {
        self.fault(report, "invalid.because", "invalid.because.hint", &[why]);
    }

    /// The same, where the API server shows another value than the one that stands here.
    pub(super) fn because_of(&self, report: &mut Report<'_>, shown: &str, why: &str) {
        report.error(&self.path(), "invalid.because", Some("invalid.because.hint"), &[shown, why]);
    }

    /// `Invalid value: WHY`, without the value (`OmitValueType`).
    pub(super) fn because_alone(&self, report: &mut Report<'_>, why: &str) {
        report.error(&self.path(), "invalid.because-alone", Some("invalid.because.hint"), &[why]);
    }

    /// `IsDomainPrefixedPath`: `example.com/controller`. Of a host or a path that is none, that part alone is shown.
    pub(super) fn domain_prefixed(&self, report: &mut Report<'_>) {
        let text = self.text();
        match text.split_once('/') {
            _ if text.is_empty() => self.required(report),
            Some((host, path)) if !host.is_empty() && !path.is_empty() => {
                self.faulty(report, &quoted(host), super::names::dns_subdomain(host));
                if !super::names::is_http_path(path) {
                    let why =
                        "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
                    self.because_of(report, &quoted(path), why);
                }
            }
            Some(_) | None => {
                self.because(report, "must be a domain-prefixed path (such as \"acme.io/foo\")");
            }
        }
    }

    /// One `Invalid value: …: WHY;WHY` for all faults together, at the place of another field and with its value.
    pub(super) fn joined(&self, report: &mut Report<'_>, value: &Self, faults: &[Fault]) {
        if faults.is_empty() {
            return;
        }
        let why: Vec<String> = faults.iter().map(sentence).collect();
        let args = [&*value.shown(), &*why.join(";")];
        report.error_near((&value.path(), &self.path()), "invalid.because", "invalid.because.hint", &args);
    }

    /// The same as `because`, at a path that the API server names and that is none of the object's own.
    pub(super) fn because_at(&self, report: &mut Report<'_>, path: &str, (shown, why): (&str, &str)) {
        report.error_near((&self.path(), path), "invalid.because", "invalid.because.hint", &[shown, why]);
    }

    /// `Required value: WHY`.
    pub(super) fn required_because(&self, report: &mut Report<'_>, why: &str) {
        report.error(
            &self.path(),
            "invalid.required-because",
            Some("invalid.required.hint"),
            &[&self.name(), why],
        );
    }

    /// `Forbidden: WHY`.
    pub(super) fn forbidden(&self, report: &mut Report<'_>, why: &str) {
        report.error(&self.path(), "invalid.forbidden", Some("invalid.forbidden.hint"), &[&self.name(), why]);
    }

    /// `Not found: …`.
    pub(super) fn not_found(&self, report: &mut Report<'_>, hint: &'static str) {
        self.fault(report, "invalid.no-volume", hint, &[]);
    }

    /// The name of the field itself; of an element, that of its list with the index.
    pub(super) fn name(&self) -> Cow<'v, str> {
        match self.last() {
            Some(Step { to: To::Field(name), .. }) => Cow::Borrowed(name),
            Some(_) | None => Cow::Owned(self.path().rsplit('.').next().unwrap_or("").to_owned()),
        }
    }

    /// The text, or `otherwise` where it is empty or not there.
    pub(super) fn text_or<'t>(&self, otherwise: &'t str) -> &'t str
    where
        'v: 't,
    {
        Some(self.text()).filter(|text| !text.is_empty()).unwrap_or(otherwise)
    }

    /// `must be between 1 and 65535, inclusive`; what is not there counts as 0.
    pub(super) fn port(&self, report: &mut Report<'_>) {
        if !super::names::port_number(self.number()) {
            let shown = self.number().to_string();
            report.error(&self.path(), "invalid.port", Some("invalid.port.hint"), &[&shown]);
        }
    }

    /// Whether the value is `true`.
    pub(super) fn is_true(&self) -> bool {
        *self.value == true
    }

    /// `must be greater than or equal to 0`.
    pub(super) fn not_negative(&self, report: &mut Report<'_>) {
        if self.number() < 0 {
            self.fault(report, "invalid.negative", "invalid.negative.hint", &[]);
        }
    }

    /// `Required value`.
    pub(super) fn required(&self, report: &mut Report<'_>) {
        report.required(&self.path(), &self.name());
    }

    /// `Duplicate value: …`.
    pub(super) fn duplicate(&self, report: &mut Report<'_>) {
        self.fault(report, "invalid.duplicate", "invalid.duplicate.hint", &[]);
    }

    /// `Unsupported value: …: supported values: …`, when a text is set that is none of these.
    pub(super) fn one_of(&self, report: &mut Report<'_>, allowed: &[&str]) {
        if !self.is_set() || allowed.contains(&self.text()) {
            return;
        }
        let list = allowed.iter().map(quoted).collect::<Vec<_>>().join(", ");
        let meant = crate::manifest::schema::nearest(self.text(), allowed.iter().copied());
        let hint =
            if meant.is_some() { "invalid.unsupported.nearest.hint" } else { "invalid.unsupported.hint" };
        self.fault(report, "invalid.unsupported", hint, &[&list, meant.unwrap_or("")]);
    }

    /// The same, where a field that is not there is an empty text, which is none of these either.
    pub(super) fn one_of_any(&self, report: &mut Report<'_>, allowed: &[&str]) {
        if self.is_set() {
            return self.one_of(report, allowed);
        }
        let list = allowed.iter().map(quoted).collect::<Vec<_>>().join(", ");
        let args = ["\"\"", &*list, ""];
        report.error(&self.path(), "invalid.unsupported", Some("invalid.unsupported.hint"), &args);
    }

    /// The same for a field that an empty text leaves to its default.
    pub(super) fn one_of_or_empty(&self, report: &mut Report<'_>, allowed: &[&str]) {
        if !self.text().is_empty() {
            self.one_of(report, allowed);
        }
    }

    /// The value as the API server shows it in an error.
    pub(super) fn shown(&self) -> String {
        match self.value {
            Value::String(text) => quoted(text),
            Value::Null => "null".to_owned(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => self.value.to_string(),
        }
    }
}

/// What a fault says behind the value, in the API server's own words.
pub(super) fn sentence((message, args): &Fault) -> String {
    let args: Vec<String> = std::iter::once(String::new()).chain(args.iter().cloned()).collect();
    let text = words::text(Lang::En, message, &args);
    text.strip_prefix("Invalid value: : ").unwrap_or(&text).to_owned()
}

/// A text in quotes, as in an error.
pub(super) fn quoted(text: impl Display) -> String {
    Value::String(text.to_string()).to_string()
}
