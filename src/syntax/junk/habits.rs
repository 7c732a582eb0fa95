//! What people bring along from other languages, and other frequent slips, each with its mend.

use super::{ITEMS, STATEMENTS, Stuck, Whole, word_at, word_before};
use crate::diagnostic::{Code, Diagnostic, similar};

const KEYWORDS: [&str; 33] = [
    "import", "as", "const", "type", "enum", "fn", "extern", "dataset", "model", "task", "workflow", "let", "for",
    "in", "if", "then", "else", "match", "try", "catch", "group", "assert", "after", "run", "train", "search",
    "evaluate", "not", "and", "or", "true", "false", "none",
];

impl Stuck<'_> {
    /// The slip that is known by what stands at the place, if one is.
    pub(super) fn habit(&self) -> Option<Diagnostic> {
        self.strange_character()
            .or_else(|| self.keyword_as_name())
            .or_else(|| self.name())
            .or_else(|| self.declaration())
            .or_else(|| self.symbol())
            .or_else(|| self.literal())
            .or_else(|| self.word())
            .or_else(|| self.first_word())
            .or_else(|| self.missing_then())
            .or_else(|| self.missing_comma())
    }

    fn bracket(&self) -> Option<char> {
        self.open.last().map(|(bracket, _)| *bracket)
    }

    /// Whether the place lies in the parentheses of a call, which touch what they follow.
    fn in_call(&self) -> bool {
        self.open.last().is_some_and(|(bracket, at)| {
            *bracket == '(' && !word_before(&self.text[self.start..*at]).is_empty() && !self.in_params()
        })
    }

    /// Whether the place lies in the parameters of a declaration.
    fn in_params(&self) -> bool {
        let head: Vec<&str> = self.text[self.start..].split_whitespace().take(2).collect();
        let declares = matches!(head.first(), Some(&("fn" | "task" | "workflow" | "model" | "dataset" | "extern")));
        self.whole == Whole::Item && declares && self.open.len() == 1 && self.bracket() == Some('(')
    }

    /// Whether a value or a name ends right before the place.
    fn after_value(&self) -> bool {
        self.before().ends_with(|c: char| c.is_ascii_alphanumeric() || "_)]}\"%".contains(c))
    }

    fn strange_character(&self) -> Option<Diagnostic> {
        let char = self.rest().chars().next()?;
        let length = char.len_utf8();
        Some(match char {
            '\u{a0}' | '\u{2007}' | '\u{202f}' => {
                self.replace(length, "this is a no-break space", " ").help("type a plain space")
            }
            '“' | '”' | '„' | '‟' => {
                self.replace(length, format!("`{char}` is not a quote of the language"), "\"")
            }
            '‘' | '’' | '´' => self.replace(length, format!("`{char}` is not a quote of the language"), "\""),
            '−' | '–' | '—' => self.replace(length, format!("`{char}` is not a minus sign of the language"), "-"),
            '×' => self.replace(length, "`×` is not an operator", "*"),
            '€' | '£' | '¥' => {
                self.say(length, "amounts of money are in dollars").label("another currency").help("write `$5`")
            }
            _ if char.is_alphabetic() && !char.is_ascii() => self
                .say(length, "names are made of the letters a to z, digits and `_`")
                .label(format!("`{char}` is none of them")),
            _ if !char.is_ascii() => {
                self.say(length, format!("`{char}` means nothing outside of texts")).label("found here")
            }
            _ => return None,
        })
    }

    /// A keyword where a name is bound.
    fn keyword_as_name(&self) -> Option<Diagnostic> {
        let word = word_at(self.rest());
        let last = word_before(self.before());
        let binds =
            ["let", "for", "fn", "model", "task", "workflow", "dataset", "const", "type", "enum", "as"].contains(&last);
        let after = self.rest()[word.len()..].trim_start();
        let param = self.in_params() && after.starts_with(':') && !after.starts_with("::");
        let member = self.text[self.start..].starts_with("enum") && self.bracket() == Some('{');
        if !KEYWORDS.contains(&word) || !(binds && !after.starts_with(word) || param || member) {
            return None;
        }
        Some(
            self.say(word.len(), format!("`{word}` is a keyword, so it can't be a name"))
                .label("a keyword")
                .help(format!("call it `{word}_` or something else")),
        )
    }

    /// Names with letters that they can't have.
    fn name(&self) -> Option<Diagnostic> {
        let (rest, before) = (self.rest(), self.before());
        let last = word_before(before);
        let touches = before.len() == self.at - self.start;
        let dashed = rest.starts_with('-') && touches && !last.is_empty() && !word_at(&rest[1..]).is_empty();
        let binds = ["let", "const", "fn", "model", "task", "workflow", "dataset", "type", "enum", "for"]
            .iter()
            .any(|keyword| before.strip_suffix(last).is_some_and(|before| before.trim_end().ends_with(keyword)));
        if dashed && (binds || self.in_params()) {
            let name = format!("{last}-{}", word_at(&rest[1..]));
            let span = self.span_of(self.at - last.len(), name.len());
            let mend = name.replace('-', "_");
            return Some(
                Diagnostic::new(Code::E0001, span, "names are made of the letters a to z, digits and `_`")
                    .label("`-` is none of them")
                    .help(format!("write `{mend}`"))
                    .fix(span, mend),
            );
        }
        let word = word_at(rest);
        let numbered = word.starts_with(|c: char| c.is_ascii_digit())
            && word.contains(|c: char| c.is_ascii_alphabetic() || c == '_');
        let wants_name = self.expected.first() == Some(&"a name");
        (numbered && wants_name).then(|| {
            self.say(word.len(), "a name starts with a letter")
                .label("starts with a digit")
                .help(format!("call it `_{word}` or something else"))
        })
    }

    /// What is left out of declarations, or brought into them.
    fn declaration(&self) -> Option<Diagnostic> {
        let rest = self.rest();
        let before = self.before();
        let last = word_before(before);
        let head = word_at(&self.text[self.start..]);
        if before.ends_with(&format!("@{last}")) && !last.is_empty() && !rest.is_empty() && !self.line_break_before() {
            let line = rest.lines().next().unwrap_or_default().trim_end();
            return Some(
                self.say(line.len(), "an annotation's arguments stand in parentheses")
                    .label("no parentheses")
                    .help(format!("write `@{last}({line})`")),
            );
        }
        if self.in_params() && !last.is_empty() && rest.starts_with([',', ')', '=']) {
            let span = self.span_of(self.start + before.len() - last.len(), last.len());
            return Some(
                Diagnostic::new(Code::E0001, span, format!("the parameter `{last}` needs a type"))
                    .label("no type follows")
                    .help(format!("write it like `{last}: Int`")),
            );
        }
        if self.whole != Whole::Item || !self.open.is_empty() {
            return None;
        }
        Some(match (head, rest.as_bytes().first()?) {
            ("fn" | "task" | "workflow", b':') if before.ends_with(')') => {
                self.replace(1, "the type of the result follows `->`", " ->")
            }
            ("fn", b'{') => self
                .say(1, "a function's value follows `=`")
                .label("a block")
                .help("write `= x + 1` in its place: a function is one expression"),
            ("model" | "type" | "const", b'{') if !before.ends_with('=') => self
                .say(1, format!("what the `{head}` stands for follows `=`"))
                .label("no `=` before it")
                .help("write `=` before it"),
            ("fn" | "task" | "workflow", b'-' | b'{')
                if last == before.split_whitespace().last().unwrap_or("") && before.split_whitespace().count() == 2 =>
            {
                self.say(1, "the parameters are missing")
                    .label("after the name")
                    .help(format!("write `{last}()` when there are none"))
            }
            ("const" | "model" | "fn", b':') if rest.starts_with(":=") => {
                self.replace(2, "a name is defined with `=`", "=")
            }
            ("const", b'=') if rest.starts_with("==") => self.replace(2, "a name is defined with `=`", "="),
            ("import", b'{') => self.replace(1, "what is imported stands behind a `.`", ".{"),
            ("import", b'.') => self
                .say(1, "a module's path is written with `/`, and its items in braces")
                .label("found `.`")
                .help("write `import std/nn.{dense}`"),
            ("import", b'"') => {
                self.say(1, "a module's path stands without quotes").label("a text").help("write `import ./name`")
            }
            ("import", b':') => self
                .say(1, "a module's path is written with `/`")
                .label("found `:`")
                .help("write `import std/nn.{dense}`"),
            _ => return None,
        })
    }

    fn symbol(&self) -> Option<Diagnostic> {
        let rest = self.rest();
        let before = self.before();
        let last = word_before(before);
        let statement = self.whole == Whole::Statement && self.open.is_empty();
        let in_list = matches!(self.bracket(), Some('(' | '['));
        Some(match rest.as_bytes().first()? {
            b';' if self.bracket() == Some('{') && self.whole == Whole::Item => {
                self.replace(1, "fields are separated by `,`", ",")
            }
            b';' => self
                .say(1, "nothing ends with `;`")
                .label("not needed")
                .help("leave it out")
                .fix(self.span_of(self.at, 1), ""),
            b'#' => self.replace(1, "comments start with `//`", "//"),
            b'\'' => self.say(1, "texts stand in double quotes").label("a single quote").help("write `\"text\"`"),
            b'`' => self.say(1, "texts stand in double quotes").label("a backtick").help("write `\"text\"`"),
            b'"' if ["f", "r", "b"].contains(&last) && before.len() == self.at - self.start => {
                let span = self.span_of(self.at - 1, 1);
                Diagnostic::new(Code::E0001, span, "texts need no letter before them: values go in braces already")
                    .label("not needed")
                    .help("leave it out")
                    .fix(span, "")
            }
            b'"' if before.ends_with("\"\"") => {
                self.say(1, "texts stand in single pairs of quotes, on one line").help("write a line break as `\\n`")
            }
            b'/' if rest.starts_with("/*") => self.replace(2, "comments start with `//` and end with the line", "//"),
            b'*' if rest.starts_with("**") || before.ends_with('*') => {
                self.say(1, "there is no operator `**`").label("a power").help("write `pow(2, 3)`")
            }
            b'^' => self.say(1, "there is no operator `^`").label("a power").help("write `pow(2, 3)`"),
            b'%' => self
                .say(1, "there is no remainder operator")
                .label("found `%`")
                .help("`x - y * floor(x / y)` is the remainder of numbers; a share is written `80%`"),
            b'&' => {
                self.replace(rest.len() - rest.trim_start_matches('&').len(), "conditions are joined with words", "and")
            }
            b'|' if rest.starts_with("||") => self.replace(2, "conditions are joined with words", "or"),
            b'|' if rest.starts_with("|>") => {
                self.say(2, "`|>` stands between two values").label("nothing stands before it")
            }
            b'|' if self.after_value() => self.replace(1, "values are piped with `|>`", "|>"),
            b'>' if rest.starts_with(">>") => self.replace(2, "values are piped with `|>`", "|>"),
            b'<' if rest.starts_with("<>") => self.replace(2, "unequal is written `!=`", "!="),
            b'<' if before.ends_with("List") || before.ends_with("Map") => self
                .say(1, "the types inside stand in square brackets")
                .label("found `<`")
                .help("write it like `List[Int]` or `Map[String, Int]`"),
            b'!' if rest.starts_with("!==") => self.replace(3, "unequal is written `!=`", "!="),
            b'!' if !rest.starts_with("!=") => self.replace(1, "a condition is negated with a word", "not "),
            b'?' if rest.starts_with("?.") => self
                .say(2, "there is no operator `?.`")
                .label("found here")
                .help("write `if x != none then x.name else other`"),
            b'?' => {
                self.say(1, "a choice is written in words").label("found `?`").help("write `if cond then a else b`")
            }
            b'.' if rest.starts_with("..=") => self.replace(3, "a range has both its ends", ".."),
            b'.' if rest.starts_with("...") => self.replace(3, "a range is written with two dots", ".."),
            b'.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let digits = rest[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - 1);
                self.replace(1 + digits, "a number starts with a digit", &format!("0{}", &rest[..1 + digits]))
            }
            b'.' if before.ends_with(|c: char| c.is_ascii_digit()) => {
                self.say(1, "a number does not end with a dot").label("no digit follows").help("write `5.0`")
            }
            b'=' if rest.starts_with("===") => self.replace(3, "values are compared with `==`", "=="),
            b'=' if rest.starts_with("=>") && in_list => {
                self.say(2, "a small function is written with bars").label("found `=>`").help("write `|x| x + 1`")
            }
            b'=' if statement && word_at(&self.text[self.start..]) == "let" && rest.starts_with("==") => {
                self.replace(2, "a name is defined with `=`", "=")
            }
            b'=' if before.ends_with(':') && self.open.is_empty() && self.whole != Whole::Setting => {
                let span = self.span_of(self.at - 1, 2);
                Diagnostic::new(Code::E0001, span, "a name is defined with `=`").help("write `=`").fix(span, "=")
            }
            b'=' if rest.starts_with("==") || rest.starts_with("=>") => return None,
            b'=' if before.ends_with(['+', '-', '*', '/']) => self
                .say(1, "a name keeps its value, so nothing can be added to it")
                .label("found `=`")
                .help("give the sum a name of its own: `let more = total + 1`"),
            b'=' if self.in_call() && !last.is_empty() => self.colon("arguments are named with `:`"),
            b'=' if self.whole == Whole::Setting && self.open.is_empty() => self.colon("a setting is filled with `:`"),
            b'=' if self.text[self.start..].starts_with("type") && self.bracket() == Some('{') => {
                self.colon("a field's type follows `:`")
            }
            b'=' if statement && ["if", "assert"].contains(&word_at(&self.text[self.start..])) => {
                self.replace(1, "values are compared with `==`", "==")
            }
            b'=' if statement && before == last && !last.is_empty() => {
                let span = self.span_of(self.start, 0);
                self.say(1, "a name is defined with `let`")
                    .label("found `=`")
                    .help(format!("write `let {last} = …`"))
                    .fix(span, "let ")
            }
            b':' if rest.starts_with("::") => self.replace(2, "what is inside a module follows a `.`", "."),
            b':' if rest.starts_with(":=") => self.replace(2, "a name is defined with `=`", "="),
            b':' if statement && ["if", "for", "try", "else", "while"].contains(&word_at(&self.text[self.start..])) => {
                self.say(1, "a block stands in braces").label("found `:`").help("write `{ … }`")
            }
            b':' if self.bracket() == Some('"') => self
                .say(1, "a value in a text has no format of its own")
                .label("found `:`")
                .help("write `{x}`, and round it before: `round(100 * x) / 100.0`"),
            b'$' if before.ends_with(|c: char| c.is_ascii_digit()) => {
                let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').len();
                let span = self.span_of(self.at - digits, digits + 1);
                let mend = format!("${}", &before[before.len() - digits..]);
                Diagnostic::new(Code::E0005, span, "the sign of money stands before the amount")
                    .help(format!("write `{mend}`"))
                    .fix(span, mend)
            }
            b'\\' if self.bracket() != Some('"') && self.in_text() => {
                let escape: String = rest.chars().take(2).collect();
                self.say(escape.len(), format!("`{escape}` is not an escape"))
                    .label("unknown")
                    .help("write `\\\\` for a backslash; there are `\\n`, `\\t`, `\\r`, `\\\"`, `\\{` and `\\u{…}`")
            }
            b'}' if self.in_text() => self.replace(1, "a `}` in a text closes a value, and none is open", "\\}"),
            b'{' if before.ends_with(['=', ':', '(', ',', '['])
                || self.at == self.start && self.whole == Whole::Statement =>
            {
                self.say(1, "braces never open a value")
                    .label("a value can't start like this")
                    .help("a record is built by its type's name, `Report(auc: 0.9)`; a map is `[\"key\": 1]`")
            }
            b'{' if last.starts_with(|c: char| c.is_ascii_uppercase()) => self
                .say(1, "a record is built with parentheses")
                .label("found `{`")
                .help(format!("write `{last}(auc: 0.9)`")),
            b'{' if ["train", "evaluate", "search", "run"].iter().any(|step| before.contains(step))
                && !last.is_empty()
                && !before.ends_with(')') =>
            {
                self.say(1, "a step's model or task is followed by parentheses")
                    .label("no arguments before it")
                    .help(format!("write `{last}()`"))
            }
            b'(' if !last.is_empty() && before.len() < self.at - self.start && !KEYWORDS.contains(&last) => self
                .say(1, "a call's `(` touches the function's name")
                .label("a space too many")
                .help("leave out the space before it"),
            b'[' if !last.is_empty() && before.len() < self.at - self.start && !KEYWORDS.contains(&last) => self
                .say(1, "an index's `[` touches what it picks from")
                .label("a space too many")
                .help("leave out the space before it"),
            b',' if self.open.last().is_some_and(|(bracket, at)| {
                *bracket == '(' && word_before(&self.text[self.start..*at]).is_empty()
            }) =>
            {
                self.say(1, "parentheses hold one value")
                    .label("found `,`")
                    .help("a list is `[a, b]`; a record has a type with named fields")
            }
            _ => return None,
        })
    }

    /// `name =` where it should be `name:`.
    fn colon(&self, message: &str) -> Diagnostic {
        let end = self.start + self.before().len();
        self.say(1, message).label("found `=`").help("write `:`").fix(self.span_of(end, self.at + 1 - end), ":")
    }

    /// Whether the place lies in a text, outside of its values.
    fn in_text(&self) -> bool {
        let line = self.text[self.start..self.at].rsplit('\n').next().unwrap_or_default();
        let quotes = line.replace("\\\\", "").replace("\\\"", "").matches('"').count();
        quotes % 2 == 1
    }

    /// Numbers and units that are none.
    fn literal(&self) -> Option<Diagnostic> {
        self.compound().or_else(|| self.number())
    }

    /// `1h 30min`, which is one duration in two pieces.
    fn compound(&self) -> Option<Diagnostic> {
        let (before, rest) = (self.before(), self.rest());
        let duration = |text: &str| text.parse::<crate::units::Duration>().is_ok();
        let last = word_before(before);
        let compound = !last.is_empty() && duration(last) && duration(word_at(rest));
        compound.then(|| {
            let (start, end) = (self.start + before.len() - last.len(), self.at + word_at(rest).len());
            let mend = format!("{last}{}", word_at(rest));
            let span = self.span_of(start, end - start);
            Diagnostic::new(Code::E0005, span, "the parts of a duration stand together")
                .help(format!("write `{mend}`"))
                .fix(span, mend)
        })
    }

    /// A number with something behind it that makes it none.
    fn number(&self) -> Option<Diagnostic> {
        let before = self.before();
        let in_number = |c: char| c.is_ascii_digit() || c == '.' || c == '_';
        let number = before.trim_end_matches(in_number).len();
        let digits = before.get(number..).filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()));
        let glued = number > 0 && before[..number].ends_with(|c: char| c.is_ascii_alphabetic());
        let unit = word_at(self.rest());
        if let Some(digits) = digits.filter(|_| !unit.is_empty() && !glued) {
            return self.unit(self.start + number, digits, unit);
        }
        // `512mb` is stuck where its number begins.
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(rest.len());
        if length > 0 && rest.starts_with(|c: char| c.is_ascii_digit()) && !word_at(&rest[length..]).is_empty() {
            let unit = word_at(&rest[length..]);
            return self.unit(self.at, &rest[..length], unit);
        }
        None
    }

    /// A number and the word behind it, which is no unit or stands apart.
    fn unit(&self, start: usize, number: &str, unit: &str) -> Option<Diagnostic> {
        let end = start + self.text[start..].find(unit)? + unit.len();
        let apart = self.text[start + number.len()..].starts_with(' ');
        let span = self.span_of(start, end - start);
        let lower = unit.to_lowercase();
        let proper = match &*lower {
            "m" | "mins" | "minute" | "minutes" | "min" => "min",
            "sec" | "secs" | "seconds" | "second" | "s" => "s",
            "hr" | "hrs" | "hour" | "hours" | "h" => "h",
            "day" | "days" | "d" => "d",
            "ms" | "msec" | "millis" | "milliseconds" => "ms",
            "percent" => "%",
            "usd" | "dollars" | "dollar" => {
                let mend = format!("${number}");
                return Some(
                    Diagnostic::new(Code::E0005, span, "money is written with a sign before the amount")
                        .help(format!("write `{mend}`"))
                        .fix(span, mend),
                );
            }
            "x" if number == "0" => {
                return Some(
                    Diagnostic::new(Code::E0005, span, "whole numbers are written in tens").label("no hexadecimal"),
                );
            }
            "f" | "l" | "u" | "f64" | "f32" | "i64" | "i32" | "u32" => {
                return Some(
                    Diagnostic::new(Code::E0005, span, "numbers have no type of their own")
                        .help(format!("write `{number}`"))
                        .fix(span, number),
                );
            }
            _ => ["KiB", "MiB", "GiB", "TiB", "KB", "MB", "GB", "TB"].into_iter().find(|proper| {
                proper.eq_ignore_ascii_case(unit) || unit.len() == 1 && !apart && proper[..1].eq_ignore_ascii_case(unit)
            })?,
        };
        let mend = format!("{number}{proper}");
        if !apart && proper == unit {
            return None;
        }
        let message = match apart {
            true if proper == unit => "a number and its unit stand together".to_owned(),
            true if lower == unit && proper != unit && unit.len() > 2 => format!("`{unit}` is not a unit"),
            true => "a number and its unit stand together".to_owned(),
            false => format!("`{unit}` is not a unit"),
        };
        Some(Diagnostic::new(Code::E0005, span, message).help(format!("write `{mend}`")).fix(span, mend))
    }

    /// Words in the middle of something.
    fn word(&self) -> Option<Diagnostic> {
        let word = word_at(self.rest());
        let before = self.before();
        let last = word_before(before);
        let new = |message: &str| self.say(word.len(), message);
        if last == "lambda" {
            return Some(
                Diagnostic::new(
                    Code::E0001,
                    self.span_of(self.start + before.len() - 6, 6),
                    "a small function is written with bars",
                )
                .label("no keyword")
                .help("write `|x| x + 1`"),
            );
        }
        if last == "mut" && before.ends_with("let mut") {
            let span = self.span_of(self.start + before.len() - 3, 3);
            return Some(
                Diagnostic::new(Code::E0001, span, "names always keep their value")
                    .label("not needed")
                    .help("leave out `mut`"),
            );
        }
        if self.at == self.start || word.is_empty() {
            return None;
        }
        Some(match word {
            "then" if word_at(&self.text[self.start..]) == "if" && self.whole == Whole::Statement => {
                new("`then` belongs to an `if` expression, which needs an `else`")
                    .help("write `if cond then a else b`, or `if cond { … }` for steps")
            }
            "if" if self.after_value() => {
                new("a choice starts with its condition").label("found `if`").help("write `if cond then a else b`")
            }
            "for" if self.bracket() == Some('[') => new("a list is made from another with `map`")
                .label("found `for`")
                .help("write `xs |> map(|x| 2 * x)`, and `filter` to choose"),
            "in" => new("there is no operator `in`")
                .label("found here")
                .help("`contains(text, part)` looks into texts and lists"),
            "is" => self.replace(2, "values are compared with `==`", "=="),
            "except" => self.replace(6, "failures are caught with `catch`", "catch"),
            "run" | "train" | "search" | "evaluate" => {
                new("a step is a statement, and can't stand inside an expression")
                    .label("a step")
                    .help(format!("give it a name before: `let result = {word} …`"))
            }
            _ if last == "not" && word == "in" => return None,
            _ => return None,
        })
    }

    /// The word that text starts with, when it could not be read from there.
    fn first_word(&self) -> Option<Diagnostic> {
        let word = word_at(&self.text[self.start..]);
        if word.is_empty() || self.bracket().is_some() {
            return None;
        }
        let span = self.span_of(self.start, word.len());
        let new = |message: String| Diagnostic::new(Code::E0001, span, message);
        let (known, what): (&[&str], _) = match self.whole {
            Whole::Item => (&ITEMS, "a declaration"),
            Whole::Statement => (&STATEMENTS, "a statement"),
            Whole::Setting => return None,
        };
        if known.contains(&word) {
            return None;
        }
        let item = self.whole == Whole::Item;
        let other = match word {
            "return" if !item => {
                return Some(
                    new("a block's value is its last expression".into())
                        .label("no `return`")
                        .help("leave out `return`"),
                );
            }
            "fn" | "import" | "workflow" | "task" | "model" | "dataset" | "type" | "enum" | "const" if !item => {
                return Some(
                    new(format!("`{word}` stands outside of workflows"))
                        .label("a declaration")
                        .help("put it at the top of the file; inside, `let` gives names"),
                );
            }
            "var" | "val" | "def" | "set" if !item => Some("let"),
            "while" | "loop" if !item => {
                return Some(
                    new(format!("there is no `{word}`"))
                        .label("unknown")
                        .help("`for x in list { … }` does something for each item of a list"),
                );
            }
            "elif" | "elsif" | "elseif" => Some("else if"),
            "foreach" | "scatter" if !item => Some("for"),
            "call" if !item => Some("run"),
            "fit" if !item => Some("train"),
            "eval" if !item => Some("evaluate"),
            "print" | "echo" | "log" if !item => {
                return Some(
                    new(format!("there is no `{word}`"))
                        .label("unknown")
                        .help("what a workflow tells is its result; a task's output is its log"),
                );
            }
            "deadline" | "budget" | "retry" | "timeout" => {
                return Some(
                    new(format!("`{word}` is an annotation"))
                        .label("the `@` is missing")
                        .help(format!("write `@{word}(…)`"))
                        .fix(self.span_of(self.start, 0), "@"),
                );
            }
            "def" | "func" | "function" => Some("fn"),
            "from" | "use" | "include" | "require" => {
                return Some(
                    new(format!("`{word}` does not start {what}"))
                        .label("unknown")
                        .help("write `import std/nn.{dense}`"),
                );
            }
            "struct" | "record" | "class" => {
                return Some(
                    new(format!("`{word}` does not start {what}"))
                        .label("unknown")
                        .help("write `type Name = { field: Type }`"),
                );
            }
            "flow" | "pipeline" | "job" => Some("workflow"),
            _ if item && STATEMENTS.contains(&word) => {
                return Some(
                    new(format!("`{word}` stands outside of a workflow"))
                        .label("a statement")
                        .help("put it into one: `workflow main() { … }`"),
                );
            }
            // Only a word that is followed by another is likely to be a keyword.
            word if word.len() > 2
                && self.text[self.start + word.len()..]
                    .trim_start_matches(' ')
                    .starts_with(|c: char| c.is_ascii_alphabetic()) =>
            {
                similar(word, known.iter().copied())
            }
            _ => None,
        }?;
        Some(
            new(format!("`{word}` does not start {what}"))
                .label("unknown")
                .help(format!("did you mean `{other}`?"))
                .fix(span, other),
        )
    }

    /// The condition of an `if` inside an expression, and at once its first value.
    fn missing_then(&self) -> Option<Diagnostic> {
        let is_value = self.expected.contains(&"`then`") && matches!(self.bracket(), Some('(' | '['));
        is_value.then(|| {
            Diagnostic::new(Code::E0001, self.span(), "`then` is missing before this")
                .label("what is it if the condition holds?")
                .help("write `if cond then a else b`")
        })
    }

    /// Two values side by side in brackets.
    fn missing_comma(&self) -> Option<Diagnostic> {
        let rest = self.rest();
        let in_brackets = matches!(self.bracket(), Some('(' | '['))
            || self.bracket() == Some('{') && (self.whole == Whole::Item || self.before_brace_is_match());
        let begins = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "_\"[(@$|-".contains(c));
        if !in_brackets || !begins || !self.after_value() {
            return None;
        }
        let before = self.before();
        let last = match word_before(before) {
            "" => before.chars().next_back().map_or(0, char::len_utf8),
            word => word.len(),
        };
        let end = self.start + before.len();
        let inside = self.open.last().map_or("", |(_, at)| &self.text[at + 1..end]);
        if inside.replace("|>", "").matches('|').count() % 2 == 1 {
            return Some(
                self.say(0, "the second bar of the small function is missing")
                    .label("before this")
                    .help("write `|x| x + 1`"),
            );
        }
        Some(
            Diagnostic::new(Code::E0001, self.span_of(end - last, last), "a `,` is missing after this")
                .label("what follows is another item")
                .help("write a `,` between them")
                .fix(self.span_of(end, 0), ","),
        )
    }

    fn before_brace_is_match(&self) -> bool {
        self.open.last().is_some_and(|(_, at)| {
            let head = self.text[self.start..*at].rsplit(['\n', '=', '(']).next().unwrap_or_default();
            head.trim_start().starts_with("match")
        })
    }
}
