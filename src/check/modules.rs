//! The files of a compilation: parsed once, their imports followed, their names collected.

use super::definitions::ItemId;
use crate::{
    diagnostic::{Code, Diagnostic, similar},
    source::{FileId, Name, Span, World},
    stdlib,
    syntax::{
        self,
        ast::{self, Imported, ItemKind},
    },
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

/// A chain of imports that is longer is longer than any project's.
const MAX_CHAIN: usize = 100;

/// What a name at the top of a file stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A declaration, perhaps of another file.
    Item(ItemId),
    /// A member of an enum: the declaration, and which member.
    Member(ItemId, usize),
    /// A whole module.
    Module(FileId),
    /// Something whose import failed; it fits everywhere.
    Broken,
}

/// A file with its names.
pub struct Module {
    /// Its tree.
    pub ast: ast::File,
    /// Its names; where each stands.
    pub names: HashMap<Name, (Binding, Span)>,
    /// Whether it is one of `std`.
    pub is_std: bool,
    /// The names that imports bring in, and have not been used.
    unused: RefCell<BTreeMap<Span, Name>>,
}

/// A module of so many declarations is told whole where one is asked for that it does not have.
const LISTED: usize = 12;

/// All files.
pub struct Modules {
    modules: BTreeMap<FileId, Module>,
    prelude: Vec<FileId>,
    /// The root file.
    pub root: FileId,
}

impl Modules {
    /// Reads the root file, the prelude, and whatever they import.
    pub fn load(world: &dyn World, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let root = world.root();
        let prelude =
            stdlib::PRELUDE.iter().filter_map(|name| world.import(root, &format!("std/{name}")).ok()).collect();
        let mut this = Self { modules: BTreeMap::new(), prelude, root };
        for file in this.prelude.clone() {
            this.add(world, file, &mut Vec::new(), diagnostics);
        }
        this.add(world, root, &mut Vec::new(), diagnostics);
        this
    }

    /// A loaded file.
    ///
    /// # Panics
    /// Never for a file that an import or the root named: loading goes on until all of those are here.
    pub fn get(&self, file: FileId) -> &Module {
        &self.modules[&file]
    }

    /// All files with their numbers.
    pub fn all(&self) -> impl Iterator<Item = (FileId, &Module)> {
        self.modules.iter().map(|(file, module)| (*file, module))
    }

    /// A declaration's tree.
    pub fn item(&self, id: ItemId) -> &ast::Item {
        &self.get(id.file).ast.items[id.index]
    }

    /// What a name stands for at the top of `file`.
    pub fn lookup(&self, file: FileId, name: &str) -> Option<Binding> {
        let module = self.get(file);
        let (binding, span) = module.names.get(name)?;
        module.unused.borrow_mut().remove(span);
        Some(*binding)
    }

    /// The declarations of the prelude with a name.
    pub fn prelude(&self, name: &str) -> Vec<ItemId> {
        let own = |file: &FileId| match self.get(*file).names.get(name) {
            Some((Binding::Item(id), _)) if id.file == *file => Some(*id),
            _ => None,
        };
        self.prelude.iter().filter_map(own).collect()
    }

    /// Every name that can be used at the top of `file`, for suggestions.
    pub fn known(&self, file: FileId) -> Vec<&str> {
        let files = std::iter::once(&file).chain(&self.prelude);
        let mut names: Vec<&str> = files.flat_map(|file| self.get(*file).names.keys().map(|name| &**name)).collect();
        names.sort_unstable();
        names
    }

    /// The `std` module that has an item called `name`, for suggestions.
    pub fn std_home(name: &str) -> Option<&'static str> {
        let declares = |text: &str| {
            ["fn", "model"].iter().any(|keyword| {
                text.contains(&format!("\n{}{keyword} {name}(", if *keyword == "fn" { "extern " } else { "" }))
            })
        };
        stdlib::MODULES.into_iter().find(|(_, text)| declares(text)).map(|(module, _)| module)
    }

    /// Names that the root file imports for nothing.
    pub fn unused(&self) -> Vec<(Span, Name)> {
        self.get(self.root).unused.borrow().iter().map(|(span, name)| (*span, name.clone())).collect()
    }

    fn add(&mut self, world: &dyn World, file: FileId, chain: &mut Vec<FileId>, diagnostics: &mut Vec<Diagnostic>) {
        if self.modules.contains_key(&file) {
            return;
        }
        let source = world.source(file);
        let is_std = source.name.strip_prefix("std/").is_some_and(|name| stdlib::source(name).is_some());
        let parsed = syntax::parse(file, &source.text);
        diagnostics.extend(parsed.diagnostics);
        let mut names = Names { names: HashMap::new(), diagnostics: Vec::new() };
        for (index, item) in parsed.value.items.iter().enumerate() {
            if matches!(item.kind, ItemKind::Test(_)) {
                continue;
            }
            let id = ItemId { file, index };
            if matches!(item.kind, ItemKind::Type(_) | ItemKind::Enum(_)) && super::types::is_builtin(&item.name.node) {
                names.diagnostics.push(
                    Diagnostic::new(
                        Code::E0102,
                        item.name.span,
                        format!("`{}` is a type of the language already", item.name.node),
                    )
                    .label("defined again here")
                    .help("give it another name"),
                );
            }
            names.add(&item.name.node, item.name.span, Binding::Item(id));
            if let ItemKind::Enum(members) = &item.kind {
                for (place, member) in members.iter().enumerate() {
                    names.add(&member.node, member.span, Binding::Member(id, place));
                }
            }
        }
        for name in &parsed.value.broken {
            names.add(&name.node, name.span, Binding::Broken);
        }
        chain.push(file);
        let mut unused = BTreeMap::new();
        for import in &parsed.value.imports {
            let path = &import.path;
            let target = match world.import(file, &path.node) {
                Ok(target) if chain.contains(&target) => {
                    names.diagnostics.push(
                        Diagnostic::new(Code::E0104, path.span, format!("`{}` imports this file in turn", path.node))
                            .label("closes a cycle")
                            .help("move what both need into a third file"),
                    );
                    names.add_broken(&import.what);
                    continue;
                }
                Ok(target) => target,
                Err(error) => {
                    let modules = stdlib::MODULES.iter().map(|(name, _)| *name);
                    let near = path.node.strip_prefix("std/").and_then(|name| similar(name, modules));
                    names.diagnostics.push(
                        Diagnostic::new(Code::E0103, path.span, error.to_string())
                            .label("can't be imported")
                            .maybe_help(near.map(|name| format!("did you mean `std/{name}`?"))),
                    );
                    names.add_broken(&import.what);
                    continue;
                }
            };
            // A chain of imports is a chain of calls here.
            if chain.len() >= MAX_CHAIN && !self.modules.contains_key(&target) {
                names.diagnostics.push(
                    Diagnostic::new(
                        Code::E0002,
                        path.span,
                        format!("files import one another more than {MAX_CHAIN} deep"),
                    )
                    .label("one too many")
                    .help("import what is needed from where it stands, not through a chain of files"),
                );
                names.add_broken(&import.what);
                continue;
            }
            self.add(world, target, chain, diagnostics);
            let Some(module) = self.modules.get(&target) else { continue };
            match &import.what {
                Imported::Module(name) => {
                    names.add(&name.node, name.span, Binding::Module(target));
                    unused.insert(name.span, name.node.clone());
                }
                Imported::Items(items) => {
                    for (item, name) in items {
                        let own = module.names.get(&item.node).map(|(binding, _)| *binding);
                        let Some(binding) = own.filter(|binding| binding.is_of(target)) else {
                            let known = module.ast.items.iter().map(|item| &*item.name.node);
                            let near = similar(&item.node, known.clone()).map(|name| format!("did you mean `{name}`?"));
                            let list: Vec<String> = known.take(LISTED + 1).map(|name| format!("`{name}`")).collect();
                            let listed = (1..=LISTED).contains(&list.len());
                            let near = near.or_else(|| {
                                listed.then(|| {
                                    let are = if list.len() == 1 { "is" } else { "are" };
                                    format!("there {are} {}", list.join(", "))
                                })
                            });
                            names.diagnostics.push(
                                Diagnostic::new(
                                    Code::E0105,
                                    item.span,
                                    format!("`{}` has no `{}`", path.node, item.node),
                                )
                                .label("not declared there")
                                .maybe_help(near),
                            );
                            names.add(&name.node, name.span, Binding::Broken);
                            continue;
                        };
                        names.add(&name.node, name.span, binding);
                        unused.insert(name.span, name.node.clone());
                    }
                }
            }
        }
        chain.pop();
        diagnostics.extend(names.diagnostics);
        let module = Module { ast: parsed.value, names: names.names, is_std, unused: RefCell::new(unused) };
        self.modules.insert(file, module);
    }
}

impl Binding {
    fn is_of(self, file: FileId) -> bool {
        match self {
            Self::Item(id) | Self::Member(id, _) => id.file == file,
            Self::Module(_) | Self::Broken => false,
        }
    }
}

struct Names {
    names: HashMap<Name, (Binding, Span)>,
    diagnostics: Vec<Diagnostic>,
}

impl Names {
    /// The names of an import that failed, so that their uses are not reported as well.
    fn add_broken(&mut self, what: &Imported) {
        match what {
            Imported::Module(name) => self.add(&name.node, name.span, Binding::Broken),
            Imported::Items(items) => {
                items.iter().for_each(|(_, name)| self.add(&name.node, name.span, Binding::Broken));
            }
        }
    }

    fn add(&mut self, name: &Name, span: Span, binding: Binding) {
        if let Some((_, first)) = self.names.get(name) {
            self.diagnostics.push(
                Diagnostic::new(Code::E0102, span, format!("`{name}` is defined twice"))
                    .label("defined again here")
                    .related(*first, "first defined here"),
            );
        } else {
            self.names.insert(name.clone(), (binding, span));
        }
    }
}
