use super::Exit;
use crate::diagnostic::{Code, similar};

/// Tell what a code means, with an example.
#[derive(clap::Args)]
pub struct Args {
    /// The code, such as `E0101`; all of them with their titles if left out
    code: Option<String>,
}

pub fn main(args: &Args) -> Exit {
    let Some(wanted) = &args.code else {
        Code::ALL.iter().for_each(|code| super::say(format_args!("{code}  {}\n", code.title())));
        return Exit::Ok;
    };
    let upper = wanted.to_uppercase();
    match Code::ALL.iter().find(|code| code.name() == upper) {
        Some(code) => {
            super::say(text(code.page()));
            Exit::Ok
        }
        None => {
            super::complain(format_args!("error: there is no code `{wanted}`"));
            let near = similar(&upper, Code::ALL.iter().map(|code| code.name()));
            super::complain(match near {
                Some(near) => format!("help: did you mean `{near}`?"),
                None => "help: `smltc explain` lists them".into(),
            });
            Exit::Usage
        }
    }
}

/// Markdown as plain text: examples are indented, not fenced.
pub fn text(page: &str) -> String {
    let (mut text, mut fenced) = (String::new(), false);
    for line in page.lines() {
        match (line.starts_with("```"), fenced) {
            (true, _) => fenced = !fenced,
            (false, true) if !line.is_empty() => text.extend(["    ", line, "\n"]),
            (false, _) => text.extend([line.trim_start_matches("# "), "\n"]),
        }
    }
    text
}
