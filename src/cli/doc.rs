use super::{Exit, check, explain};
use crate::{
    diagnostic::{Code, render, similar},
    doc::{self, Doc, Module},
    source::{FileId, World},
};
use clap::builder::styling::Style;
use serde_json::json;
use std::{
    env,
    io::{self, IsTerminal},
    path::Path,
};

/// Tell how something of the standard library, or of a file of yours, is used.
///
/// Prints what a name takes and gives, how to import it, what it does, and an example that can be copied as it is.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  smltc doc                   the modules of the standard library
  smltc doc nn                all of one module, std/nn
  smltc doc dense             one item, in whichever module it is
  smltc doc std/loss.mse      the one of this module, where several have an item of that name
  smltc doc train.smlt        what a file of yours declares, with the /// comments
  smltc doc train.smlt main   one of its declarations")]
pub struct Args {
    /// A module, an item, or a workflow file; the modules if left out
    #[arg(value_name = "NAME|FILE")]
    wanted: Option<String>,
    /// One item of that module or file
    #[arg(value_name = "ITEM")]
    item: Option<String>,
    /// One JSON object a line for each item
    #[arg(long)]
    json: bool,
}

/// What a name stands for.
enum Found<'m> {
    Module(&'m Module),
    Item(&'m Module, &'m Doc),
}

pub fn main(args: &Args) -> Exit {
    let path = args.wanted.as_deref().filter(|wanted| is_file(wanted));
    let modules = match path.map(file) {
        Some(Ok(module)) => vec![module],
        Some(Err(exit)) => return exit,
        None => doc::std(),
    };
    let found: Vec<Found> = match (path, &args.wanted, &args.item) {
        (Some(_), _, Some(item)) => modules.iter().flat_map(|module| named(module, item)).collect(),
        (None, Some(wanted), item) => in_std(&modules, wanted, item.as_deref()),
        (None, None, _) | (Some(_), _, None) => modules.iter().map(Found::Module).collect(),
    };
    if found.is_empty() {
        let (message, help) = unknown(args, path, &modules);
        super::complain(format_args!("error: {message}\nhelp: {help}"));
        return Exit::Failed;
    }
    if args.json {
        found.iter().for_each(Found::say_json);
    } else {
        let styled = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        let bold = if styled { Style::new().bold() } else { Style::new() };
        super::say(if args.wanted.is_none() { overview(&modules, bold) } else { text(&found, bold) });
    }
    Exit::Ok
}

fn is_file(wanted: &str) -> bool {
    Path::new(wanted).extension().is_some_and(|end| end == "smlt")
}

/// What a file declares; its mistakes are reported.
fn file(path: &str) -> Result<Module, Exit> {
    let files = check::open(Path::new(path)).map_err(|()| Exit::Failed)?;
    let source = files.source(FileId(0));
    doc::read(FileId(0), &source.name, &source.text).map_err(|diagnostics| {
        super::complain(render(&diagnostics, &|file| files.source(file), check::style()).trim_end());
        Exit::Failed
    })
}

fn named<'m>(module: &'m Module, name: &str) -> impl Iterator<Item = Found<'m>> {
    let items: Vec<&Doc> = module.items.iter().filter(|item| &*item.name == name).collect();
    items.into_iter().map(move |item| Found::Item(module, item))
}

/// What `std/nn`, `nn`, `std/nn.dense`, `nn.dense` and `dense` stand for.
fn in_std<'m>(modules: &'m [Module], wanted: &str, item: Option<&str>) -> Vec<Found<'m>> {
    let path = wanted.strip_prefix("std/").unwrap_or(wanted);
    let (module, item) = match item {
        Some(item) => (path, Some(item)),
        None => path.split_once('.').map_or((path, None), |(module, item)| (module, Some(item))),
    };
    let called = modules.iter().filter(|known| known.name.strip_prefix("std/") == Some(module));
    match item {
        Some(item) => called.flat_map(|module| named(module, item)).collect(),
        None if path.len() < wanted.len() => called.map(Found::Module).collect(),
        None => called.map(Found::Module).chain(modules.iter().flat_map(|module| named(module, path))).collect(),
    }
}

/// That a name stands for nothing, and what may be meant.
fn unknown(args: &Args, file: Option<&str>, modules: &[Module]) -> (String, String) {
    let item = args.item.as_deref();
    if let (Some(file), Some(item)) = (file, item) {
        let near = similar(item, modules.iter().flat_map(|module| &module.items).map(|item| &*item.name));
        let list = format!("`smltc doc {file}` lists what it declares");
        let help = near.map_or(list, |near| format!("did you mean `{near}`?"));
        return (format!("`{file}` declares no `{item}`"), help);
    }
    let wanted = args.wanted.as_deref().unwrap_or_default();
    let wanted = item.map_or(wanted.to_owned(), |item| format!("{wanted}.{item}"));
    let code = Code::ALL.iter().find(|code| code.name().eq_ignore_ascii_case(&wanted));
    let help = match (code, nearest(&wanted, modules)) {
        (Some(code), _) => format!("`smltc explain {code}` tells what this code means"),
        _ if Path::new(&format!("{wanted}.smlt")).is_file() => format!("did you mean `{wanted}.smlt`?"),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => "`smltc doc` lists what there is".into(),
    };
    (format!("there is no `{wanted}` in the standard library"), help)
}

/// The module, item, or item of a module that a name is nearest to.
fn nearest(wanted: &str, modules: &[Module]) -> Option<String> {
    let short = |name: &str| name.strip_prefix("std/").unwrap_or(name).to_owned();
    let items = || modules.iter().flat_map(|module| module.items.iter().map(move |item| (module, &*item.name)));
    let whole = |(module, item): (&Module, &str)| format!("{}.{item}", module.name);
    // An item of the right name in another module is nearer than one of a similar name in this.
    let same = |item: &str| items().find(|(_, other)| *other == item).map(whole);
    if let Some(elsewhere) = wanted.split_once('.').and_then(|(_, item)| same(item)) {
        return Some(elsewhere);
    }
    let names = modules.iter().map(|module| module.name.clone());
    let known = names.chain(items().map(whole)).chain(items().map(|(_, item)| item.to_owned()));
    let known: Vec<(String, String)> = known.map(|name| (short(&name), name)).collect();
    let near = similar(&short(wanted), known.iter().map(|(short, _)| &**short))?;
    known.iter().find(|(short, _)| short == near).map(|(_, name)| name.clone())
}

/// All modules, each with what it is about and the names in it.
fn overview(modules: &[Module], bold: Style) -> String {
    let width = modules.iter().map(|module| module.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for module in modules {
        let about = module.about.split_inclusive('.').next().unwrap_or_default().replace('\n', " ");
        let names: Vec<&str> = module.items.iter().map(|item| &*item.name).collect();
        out += &format!("{bold}{:width$}{bold:#}  {about}\n{:width$}  {}\n", module.name, "", names.join(", "));
    }
    out + "\n`smltc doc NAME` tells about a module or an item.\n"
}

fn text(found: &[Found], bold: Style) -> String {
    let pages: Vec<String> = found.iter().map(|found| found.text(bold)).collect();
    pages.join("\n\n")
}

impl Found<'_> {
    fn text(&self, bold: Style) -> String {
        let module = match self {
            Self::Item(module, item) => return page(module, item, bold),
            Self::Module(module) => module,
        };
        let mut out = format!("{bold}{}{bold:#}\n", module.name);
        if !module.about.is_empty() {
            out += &format!("\n{}\n", module.about);
        }
        if module.items.is_empty() {
            out += "\nIt declares nothing.\n";
        }
        for item in &module.items {
            out += &format!("\n{bold}{}{bold:#}\n{}", item.signature, indented(&explain::text(&item.text)));
        }
        out
    }

    fn say_json(&self) {
        let (module, items) = match self {
            Self::Item(module, item) => (module, std::slice::from_ref(*item)),
            Self::Module(module) => (module, &*module.items),
        };
        for item in items {
            let object = json!({
                "module": module.name,
                "name": item.name,
                "import": module.import(&item.name),
                "signature": item.signature,
                "text": item.text,
                "example": item.example,
            });
            super::say(format_args!("{object}\n"));
        }
    }
}

/// All that is known of an item.
fn page(module: &Module, item: &Doc, bold: Style) -> String {
    let place = match module.import(&item.name) {
        Some(import) => import,
        None if module.is_prelude() => format!("{}, known without an import", module.name),
        None => module.name.clone(),
    };
    let mut out = format!("{bold}{}{bold:#}\n\n{place}\n", item.signature);
    if !item.text.is_empty() {
        out += &format!("\n{}", explain::text(&item.text));
    }
    if let Some(example) = &item.example {
        out += &format!("\n{}", indented(example));
    }
    out
}

fn indented(text: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".into() } else { format!("    {line}\n") }).collect()
}
