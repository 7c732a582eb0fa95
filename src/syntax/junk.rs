//! What is wrong with text that could not be read: the grammar is asked again, strictly, and its answer put into words.

use super::{Grammar, Rule, brackets};
use crate::{
    diagnostic::{Code, Diagnostic, similar},
    source::{FileId, Span},
};
use pest::{
    Parser,
    error::{Error, ErrorVariant, InputLocation},
};

const ITEMS: [&str; 11] =
    ["import", "const", "type", "enum", "fn", "dataset", "model", "task", "workflow", "extern", "test"];
const STATEMENTS: [&str; 11] =
    ["let", "for", "if", "try", "group", "repeat", "assert", "run", "train", "search", "evaluate"];

/// Operators between two values, the longer of those that start alike first.
const OPERATORS: [&str; 15] = ["==", "!=", "<=", ">=", "??", "|>", "..", "<", ">", "+", "-", "*", "/", "and ", "or "];

/// Says what is wrong with `junk`, found at `start` of `text` where `rule` was expected.
pub fn describe(file: FileId, text: &str, start: usize, junk: &str, rule: Rule) -> Diagnostic {
    if let Some(known) = habit(file, text, start, junk, 0, rule) {
        return known;
    }
    let strict = if rule == Rule::decl && junk.starts_with("import") { Rule::import } else { rule };
    let line = text[..start].rsplit('\n').next().unwrap_or_default().trim_end();
    let goes_on = !line.is_empty() && !line.ends_with(['{', '}', ',']);
    match Grammar::parse(strict, junk) {
        Err(error) => {
            let at = match error.location {
                InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
            };
            let diagnostic = habit(file, text, start, junk, at, rule).unwrap_or_else(|| {
                let operator = OPERATORS.into_iter().find(|operator| junk.starts_with(operator));
                match operator {
                    _ if !goes_on => explain(&error, file, start).label(found(&junk[at..])),
                    Some(operator) => {
                        let span = Span::new(file, start as u32, (start + operator.len()) as u32);
                        Diagnostic::new(Code::E0001, span, format!("`{operator}` needs a value on its right side"))
                            .label("nothing follows that could be one")
                    }
                    None => Diagnostic::new(Code::E0001, span_at(file, text, start), "this does not belong here")
                        .label(found(junk)),
                }
            });
            match brackets::interpolation(file, &junk[..at]) {
                Some(brace) => {
                    let brace = (start + brace) as u32;
                    diagnostic
                        .related(Span::new(file, brace, brace + 1), "starts a value in the text")
                        .help(brackets::PLAIN_BRACE)
                }
                None => diagnostic,
            }
        }
        // It can be read as far as it goes, so what is wrong is what follows.
        Ok(pairs) => {
            let read = pairs.map(|pair| pair.as_span().end()).max().unwrap_or(0);
            let at = read + junk[read..].len() - junk[read..].trim_start().len();
            habit(file, text, start, junk, at, rule).unwrap_or_else(|| {
                let span = span_at(file, text, start + at);
                Diagnostic::new(Code::E0001, span, "this does not belong here").label(found(&junk[at..]))
            })
        }
    }
}

/// A plain message for an error of the grammar; `shift` is where its text starts in the file.
pub fn explain(error: &Error<Rule>, file: FileId, shift: usize) -> Diagnostic {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at + shift,
    };
    let span = Span::new(file, at as u32, at as u32 + 1);
    let mut expected: Vec<&str> = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives.iter().filter_map(|rule| words(*rule)).collect(),
        ErrorVariant::CustomError { .. } => Vec::new(),
    };
    expected.dedup();
    let mut seen = Vec::new();
    expected.retain(|word| {
        !seen.contains(word) && {
            seen.push(word);
            true
        }
    });
    let more = expected.len() > 4;
    expected.truncate(4);
    let message = match expected.as_slice() {
        [] => "this can't be read".to_owned(),
        _ if more => format!("expected {} or something else", expected.join(", ")),
        [one] => format!("expected {one}"),
        [first @ .., last] => format!("expected {} or {last}", first.join(", ")),
    };
    Diagnostic::new(Code::E0001, span, message)
}

fn found(rest: &str) -> String {
    let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').take(30).collect();
    match (word.is_empty(), rest.chars().next()) {
        (_, None) => "the text ends here".into(),
        (false, _) => format!("found `{word}`"),
        (true, Some('\n' | '\r')) => "the line ends here".into(),
        (true, Some(char)) => format!("found `{char}`"),
    }
}

fn span_at(file: FileId, text: &str, at: usize) -> Span {
    let rest = &text[at.min(text.len())..];
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let length = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
    Span::new(file, at as u32, (at + length) as u32)
}

/// What people bring along from other languages, and other frequent slips, at `at` in `junk`.
fn habit(file: FileId, text: &str, start: usize, junk: &str, at: usize, rule: Rule) -> Option<Diagnostic> {
    let rest = junk.get(at..)?;
    let trimmed = rest.trim_start();
    let place = start + junk.len() - trimmed.len();
    let rest = trimmed;
    let word = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())];
    let before = text[..place].trim_end();
    let span = |length: usize| Span::new(file, place as u32, (place + length) as u32);
    let new = |length: usize, message: &str| Diagnostic::new(Code::E0001, span(length), message);
    let replace = |length: usize, message: &str, with: &str| {
        new(length, message).help(format!("write `{with}`")).fix(span(length), with)
    };
    let statement = rule == Rule::annotated_stmt;
    Some(match rest.as_bytes().first()? {
        b';' => new(1, "statements don't end with `;`").label("not needed").help("leave it out").fix(span(1), ""),
        b'#' => replace(1, "comments start with `//`", "//"),
        b'\'' => new(1, "texts stand in double quotes").label("a single quote").help("write `\"text\"`"),
        b'`' => new(1, "texts stand in double quotes").label("a backtick").help("write `\"text\"`"),
        _ if rest.starts_with("&&") => replace(2, "conditions are joined with words", "and"),
        _ if rest.starts_with("||") => replace(2, "conditions are joined with words", "or"),
        _ if rest.starts_with("!=") => return None,
        b'!' => replace(1, "a condition is negated with a word", "not "),
        b'{' if before.ends_with(['=', ':', '(', ',']) => new(1, "braces never open a value")
            .label("a value can't start like this")
            .help("a record is built by its type's name, `Report(auc: 0.9)`; a map is `[\"key\": 1]`"),
        b'=' if !statement && rule == Rule::setting_ok && !rest.starts_with("==") => {
            replace(1, "a setting is filled with `:`", ":")
        }
        b'=' if rest.starts_with("==") || rest.starts_with("=>") => return None,
        b':' if before_is_name(before) && statement => replace(1, "a name is defined with `=`", "="),
        b'=' if statement && before_word(before, "if") => replace(1, "values are compared with `==`", "=="),
        b'(' if before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && before.len() < place => {
            new(1, "a call's `(` touches the function's name")
                .label("a space too many")
                .help("leave out the space before it")
        }
        b'[' if before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && before.len() < place => {
            new(1, "an index's `[` touches what it picks from")
                .label("a space too many")
                .help("leave out the space before it")
        }
        byte if byte.is_ascii_digit() => return unit(file, place, rest),
        _ => return self::word(file, place, word, before, rule),
    })
}

fn before_is_name(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before).trim_start();
    line.strip_prefix("let ").is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn before_word(before: &str, word: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before);
    line.split(|c: char| !c.is_ascii_alphanumeric()).any(|found| found == word)
}

/// A number with a unit that is none, such as `5m` or `512mb`.
fn unit(file: FileId, place: usize, rest: &str) -> Option<Diagnostic> {
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')?;
    let gap = rest[digits..].len() - rest[digits..].trim_start_matches(' ').len();
    let unit_start = digits + gap;
    let length = rest[unit_start..].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len() - unit_start);
    let (number, unit) = (&rest[..digits], &rest[unit_start..unit_start + length]);
    let proper = match unit {
        "m" | "mins" | "minute" | "minutes" => "min",
        "sec" | "secs" | "seconds" | "second" | "S" => "s",
        "hr" | "hrs" | "hour" | "hours" | "H" => "h",
        "day" | "days" | "D" => "d",
        _ => ["KiB", "MiB", "GiB", "TiB", "KB", "MB", "GB", "TB"]
            .into_iter()
            .find(|proper| {
                proper.eq_ignore_ascii_case(unit) || proper[..1].eq_ignore_ascii_case(unit) && unit.len() == 1
            })
            .or_else(|| ["s", "ms", "min", "h", "d"].into_iter().find(|proper| gap > 0 && *proper == unit))?,
    };
    let end = place + unit_start + length;
    let span = Span::new(file, place as u32, end as u32);
    let mend = format!("{number}{proper}");
    let message = match gap {
        0 => format!("`{unit}` is not a unit"),
        _ => "a number and its unit stand together".to_owned(),
    };
    Some(Diagnostic::new(Code::E0005, span, message).help(format!("write `{mend}`")).fix(span, mend))
}

fn word(file: FileId, place: usize, word: &str, before: &str, rule: Rule) -> Option<Diagnostic> {
    if word.is_empty() {
        return None;
    }
    let span = Span::new(file, place as u32, (place + word.len()) as u32);
    let new = |message: String| Diagnostic::new(Code::E0001, span, message);
    let last = before.rsplit(|c: char| c.is_whitespace() || c == '(' || c == ',').next().unwrap_or("");
    if before.ends_with(|c: char| c.is_ascii_digit())
        && let Some(number) =
            last.rfind(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').map_or(Some(0), |at| Some(at + 1))
    {
        let start = before.len() - last.len() + number;
        return unit(file, start, &format!("{}{}{word}", &before[start..], " ".repeat(place - before.len())));
    }
    if (ITEMS[..9].contains(&word)
        || STATEMENTS.contains(&word)
        || ["then", "else", "in", "as", "not", "and", "or", "match"].contains(&word))
        && ["let", "for", "fn", "model", "task", "workflow", "dataset", "const", "type"].contains(&last)
    {
        return Some(
            new(format!("`{word}` is a keyword, so it can't be a name"))
                .label("a keyword")
                .help(format!("call it `{word}_` or something else")),
        );
    }
    if word == "then" {
        return Some(
            new("`then` belongs to an `if` expression, which needs an `else`".into())
                .help("write `if cond then a else b`, or `if cond { … }` for steps"),
        );
    }
    let (known, what): (&[&str], _) = match rule {
        Rule::decl => (&ITEMS, "a declaration"),
        Rule::annotated_stmt => (&STATEMENTS, "a statement"),
        _ => return None,
    };
    let other = match (rule, word) {
        (Rule::annotated_stmt, "return") => {
            return Some(
                new("a block's value is its last expression".into()).label("no `return`").help("leave out `return`"),
            );
        }
        (Rule::annotated_stmt, "var" | "val" | "const" | "def" | "set") => Some("let"),
        (Rule::annotated_stmt, "while" | "loop") => Some("repeat"),
        (Rule::annotated_stmt, "elif" | "elsif" | "elseif") => Some("else if"),
        (Rule::annotated_stmt, "foreach") => Some("for"),
        (Rule::decl, "def" | "func" | "function") => Some("fn"),
        (Rule::decl, "from" | "use" | "include" | "require") => Some("import"),
        (Rule::decl, "struct" | "record" | "class") => Some("type"),
        (Rule::decl, "flow" | "pipeline" | "job") => Some("workflow"),
        (_, word) if known.contains(&word) => return None,
        (_, word) => similar(word, known.iter().copied()),
    };
    match other {
        Some(other) => Some(
            new(format!("`{word}` does not start {what}"))
                .label("unknown")
                .help(format!("did you mean `{other}`?"))
                .fix(span, other),
        ),
        None if rule == Rule::decl && STATEMENTS.contains(&word) => Some(
            new(format!("`{word}` stands outside of a workflow"))
                .label("a statement")
                .help("put it into one: `workflow main() { … }`"),
        ),
        None => None,
    }
}

/// A rule of the grammar as a user would call it; `None` for those that never help.
fn words(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::import | Rule::decl => "a declaration",
        Rule::path | Rule::path_word => "a module's path",
        Rule::ident | Rule::word => "a name",
        Rule::ty | Rule::named_ty | Rule::record_ty => "a type",
        Rule::params => "parameters in parentheses",
        Rule::param => "a parameter",
        Rule::args | Rule::call => "arguments in parentheses",
        Rule::arg => "an argument",
        Rule::block => "a block in braces",
        Rule::settings => "settings in braces",
        Rule::setting_ok => "a setting",
        Rule::expr | Rule::postfix | Rule::primary | Rule::literal => "a value",
        Rule::string => "a text",
        Rule::chars | Rule::escape | Rule::interp => "the rest of the text",
        Rule::annotated_stmt | Rule::step | Rule::let_stmt => "a statement",
        Rule::arm => "an arm of the match",
        Rule::pattern => "a pattern",
        Rule::step_target => "what to work on",
        Rule::catch | Rule::KW_catch => "`catch`",
        Rule::KW_else => "`else`",
        Rule::KW_then => "`then`",
        Rule::KW_in => "`in`",
        Rule::KW_as => "`as`",
        Rule::field_ty => "a field",
        _ => return None,
    })
}
