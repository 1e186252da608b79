//! What each line of a log tells of its container: `labels`, `labels-regex`, `env`, `env-regex` and `tag`.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::options::Options;
use crate::error::{Error, Result};
use crate::id;
use crate::store::containers::Container;

/// Docker's tag where none is asked for.
const USUAL_TAG: &str = "{{.ID}}";

/// The `attrs` of json-file's lines, as a JSON object; `None` if there are none.
pub(super) fn json(options: &Options<'_>, container: &Container) -> Result<Option<String>> {
    let mut all = chosen(options, container)?;
    if let Some(tag) = options.get("tag").filter(|tag| !tag.is_empty()) {
        all.insert("tag".into(), expand(tag, container)?);
    }
    if all.is_empty() {
        return Ok(None);
    }
    let written = serde_json::to_string(&all);
    written.map(Some).map_err(|error| Error::Corrupt(format!("cannot write the log's attributes: {error}")))
}

/// The fields of a journal's entries.
pub(super) fn journal(options: &Options<'_>, container: &Container) -> Result<Vec<(String, String)>> {
    let tag = tag(options, container)?;
    let mut all = BTreeMap::from([
        ("CONTAINER_ID".to_owned(), id::short(&container.id).to_owned()),
        ("CONTAINER_ID_FULL".to_owned(), container.id.clone()),
        ("CONTAINER_NAME".to_owned(), container.name.clone()),
        ("CONTAINER_TAG".to_owned(), tag.clone()),
        ("IMAGE_NAME".to_owned(), container.config.image.clone().unwrap_or_default()),
        ("SYSLOG_IDENTIFIER".to_owned(), tag),
    ]);
    for (name, value) in chosen(options, container)? {
        let name = field_name(&name);
        if !name.is_empty() {
            all.insert(name, value);
        }
    }
    Ok(all.into_iter().collect())
}

/// The tag, expanded.
pub(super) fn tag(options: &Options<'_>, container: &Container) -> Result<String> {
    expand(options.get("tag").filter(|tag| !tag.is_empty()).unwrap_or(USUAL_TAG), container)
}

/// The journal takes capital letters, digits and underscores, and no underscore at the beginning.
fn field_name(name: &str) -> String {
    let letter = |letter: char| match letter.to_ascii_uppercase() {
        letter @ ('A'..='Z' | '0'..='9') => letter,
        _ => '_',
    };
    name.chars().map(letter).collect::<String>().trim_start_matches('_').to_owned()
}

/// The labels and variables that the options name.
fn chosen(options: &Options<'_>, container: &Container) -> Result<BTreeMap<String, String>> {
    let labels = container.config.labels.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
    let variables = container.config.env.iter().flatten().filter_map(|line| line.split_once('='));
    let mut all = BTreeMap::new();
    choose(options, "labels", &labels.collect(), &mut all)?;
    choose(options, "env", &variables.collect(), &mut all)?;
    Ok(all)
}

fn choose(
    options: &Options<'_>,
    key: &str,
    from: &BTreeMap<&str, &str>,
    all: &mut BTreeMap<String, String>,
) -> Result<()> {
    let listed = options.get(key).unwrap_or_default().split(',');
    for (name, value) in listed.filter_map(|name| from.get_key_value(name)) {
        all.insert((*name).to_owned(), (*value).to_owned());
    }
    let regex = format!("{key}-regex");
    if let Some(pattern) = options.get(&regex).filter(|pattern| !pattern.is_empty()) {
        let pattern = Regex::new(pattern)
            .map_err(|error| Error::Invalid(format!("invalid {regex} {pattern:?}: {error}")))?;
        for (name, value) in from.iter().filter(|(name, _)| pattern.is_match(name)) {
            all.insert((*name).to_owned(), (*value).to_owned());
        }
    }
    Ok(())
}

/// A tag with its `{{.…}}` replaced.
fn expand(template: &str, container: &Container) -> Result<String> {
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let bad = |what: &str| {
            Error::Invalid(format!(
                "invalid log tag {template:?}: {what}; there are {{{{.ID}}}}, {{{{.FullID}}}}, {{{{.Name}}}}, \
                 {{{{.ImageID}}}}, {{{{.ImageFullID}}}}, {{{{.ImageName}}}} and {{{{.DaemonName}}}}"
            ))
        };
        let (field, after) = after.split_once("}}").ok_or_else(|| bad("it does not end"))?;
        let image = container.image.strip_prefix("sha256:").unwrap_or(&container.image);
        out.push_str(before);
        out.push_str(match field.trim() {
            ".ID" => id::short(&container.id),
            ".FullID" | ".ContainerID" => &container.id,
            ".Name" => &container.name,
            ".ImageID" => image.get(..12).unwrap_or(image),
            ".ImageFullID" => &container.image,
            ".ImageName" => container.config.image.as_deref().unwrap_or_default(),
            ".DaemonName" => "bulkhead",
            _ => return Err(bad(&format!("{{{{{field}}}}} cannot be used"))),
        });
        rest = after;
    }
    Ok(out + rest)
}
