//! Types as written, turned into types.

use super::{Checker, definitions::Def, modules::Binding};
use crate::{
    diagnostic::{Code, Diagnostic, similar},
    source::FileId,
    syntax::ast::{self, TypeKind},
    types::Type,
};
use std::{collections::BTreeMap, sync::Arc};

const SIMPLE: [(&str, Type); 11] = [
    ("Bool", Type::Bool),
    ("Int", Type::Int),
    ("Float", Type::Float),
    ("String", Type::String),
    ("Duration", Type::Duration),
    ("Money", Type::Money),
    ("Size", Type::Size),
    ("Percent", Type::Percent),
    ("Uri", Type::Uri),
    ("Artifact", Type::Artifact),
    ("Dataset", Type::Dataset),
];

const OPAQUE: [&str; 11] =
    ["Layer", "Optimizer", "Schedule", "Loss", "Metric", "Strategy", "Format", "Exchange", "Codec", "Staged", "Every"];

/// The type of a kind of thing that `std` provides.
pub fn std(kind: &str) -> Type {
    Type::Std(kind.into())
}

/// Whether a name is that of a type of the language itself.
pub fn is_builtin(name: &str) -> bool {
    SIMPLE.iter().any(|(simple, _)| *simple == name)
        || OPAQUE.contains(&name)
        || matches!(name, "List" | "Map" | "Range" | "Distribution" | "Fn" | "Model")
}

/// Whether a name in a signature of `std` stands for any type: `T` and `U`, or `N` a number, or `O` something ordered.
pub fn is_var(name: &str) -> bool {
    matches!(name, "T" | "U" | "N" | "O")
}

impl Checker {
    /// The type that `ty` means in `file`.
    pub(super) fn ty(&mut self, file: FileId, ty: &ast::Type) -> Type {
        match &ty.kind {
            TypeKind::Optional(inner) => self.ty(file, inner).optional(),
            TypeKind::Record(fields) => {
                let mut record = BTreeMap::new();
                for (name, ty) in fields {
                    let ty = self.ty(file, ty);
                    if record.insert(name.node.clone(), ty).is_some() {
                        self.report(
                            Diagnostic::new(
                                Code::E0102,
                                name.span,
                                format!("the field `{}` is defined twice", name.node),
                            )
                            .label("defined again here"),
                        );
                    }
                }
                Type::Record(Arc::new(record))
            }
            TypeKind::Named(name, args) => self.named(file, ty, name, args),
        }
    }

    fn named(&mut self, file: FileId, ty: &ast::Type, name: &str, args: &[ast::Type]) -> Type {
        let types: Vec<Type> = args.iter().map(|arg| self.ty(file, arg)).collect();
        let own = self.modules.lookup(file, name);
        let wanted = match name {
            _ if own.is_some() => Some(0),
            "List" | "Distribution" | "Range" => Some(1),
            "Map" => Some(2),
            "Fn" => None,
            _ => Some(0),
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != args.len()) {
            let example = match name {
                "Map" => "`Map[String, Int]`",
                "List" | "Distribution" | "Range" => "`List[Int]`",
                _ => "without brackets",
            };
            self.report(
                Diagnostic::new(
                    Code::E0201,
                    ty.span,
                    format!("`{name}` takes {wanted} types in brackets, not {}", args.len()),
                )
                .help(format!("write it like {example}")),
            );
            return Type::Unknown;
        }
        match own {
            Some(Binding::Item(id)) => {
                return match self.def(id) {
                    Def::Type(ty) => ty,
                    Def::Broken => Type::Unknown,
                    _ => {
                        self.report(
                            Diagnostic::new(Code::E0201, ty.span, format!("`{name}` is not a type"))
                                .label("used as a type"),
                        );
                        Type::Unknown
                    }
                };
            }
            Some(Binding::Broken) => return Type::Unknown,
            Some(Binding::Module(_) | Binding::Member(..)) | None => {}
        }
        let boxed = |index: usize| Box::new(types[index].clone());
        match name {
            "List" => return Type::List(boxed(0)),
            "Distribution" => return Type::Distribution(boxed(0)),
            "Range" => return Type::Range(boxed(0)),
            "Fn" => return Type::Function(types),
            "Map" => {
                if !matches!(types[0], Type::String | Type::Unknown) {
                    self.mismatch(args[0].span, &Type::String, &types[0]);
                }
                return Type::Map(boxed(1));
            }
            "Model" => return Type::Model,
            _ => {}
        }
        if let Some((_, ty)) = SIMPLE.into_iter().find(|(simple, _)| *simple == name) {
            return ty;
        }
        if OPAQUE.contains(&name) || is_var(name) && self.modules.get(file).is_std {
            return std(name);
        }
        let types = SIMPLE.iter().map(|(name, _)| *name).chain(["List", "Map", "Model"]);
        let mut known: Vec<&str> = types.chain(self.modules.known(file)).collect();
        known.retain(|name| name.starts_with(char::is_uppercase));
        let near = match name {
            "Number" | "Double" | "f64" | "f32" => Some("numbers are `Float` or `Int`".into()),
            "Str" | "str" | "Text" => Some("texts are `String`".into()),
            "Integer" | "i64" => Some("whole numbers are `Int`".into()),
            "Dict" => Some("maps are `Map[String, T]`, records `{ field: T }`".into()),
            name if is_var(name) => {
                Some("write the type itself; only the standard library has functions for any type".into())
            }
            name => similar(name, known).map(|name| format!("did you mean `{name}`?")),
        };
        self.report(
            Diagnostic::new(Code::E0101, ty.span, format!("there is no type `{name}`"))
                .label("not defined")
                .maybe_help(near),
        );
        Type::Unknown
    }
}
