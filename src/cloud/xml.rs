//! What little is read of answers in XML, which have no attributes and no elements of one name within another.

/// What stands in the first element of a name.
pub fn text(xml: &str, name: &str) -> Option<String> {
    inside(xml, name).next().map(unescaped)
}

/// What stands in each element of a name, as it is written.
pub fn inside<'x>(xml: &'x str, name: &str) -> impl Iterator<Item = &'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&*open)?;
        let (found, after) = after.split_once(&*close)?;
        rest = after;
        Some(found)
    })
}

fn unescaped(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#34;", "\""), ("&amp;", "&")];
    entities.iter().fold(text.trim().to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found() {
        let xml = "<A><Tag><Key>a</Key></Tag>\n<Tag><Key>&lt;b&amp;lt;</Key></Tag></A>";
        let keys: Vec<_> = inside(xml, "Tag").filter_map(|tag| text(tag, "Key")).collect();
        assert_eq!(keys, ["a", "<b&lt;"]);
        assert_eq!(text(xml, "None"), None);
    }
}
