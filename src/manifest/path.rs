//! The steps to a value within an object, and the path that they make, such as `spec.containers[0].name`.

/// Where a step leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To<'v> {
    /// A field of a struct.
    Field(&'v str),
    /// An element of a list.
    Element(usize),
    /// An entry of a map.
    Entry(&'v str),
}

impl To<'_> {
    /// Writes the step after the ones before it.
    pub(super) fn write(self, path: &mut String) {
        match self {
            To::Field(name) => path.extend([if path.is_empty() { "" } else { "." }, name]),
            To::Element(index) => path.extend(["[", &index.to_string(), "]"]),
            To::Entry(key) => path.extend(["[", key, "]"]),
        }
    }
}
