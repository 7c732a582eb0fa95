//! `test` blocks: workflows without parameters, in which stubs stand for tasks.

use super::{
    Checker,
    definitions::{Def, TaskDef},
    program::{Outcome, Stub, Test},
    scope::Place,
};
use crate::{
    diagnostic::{Code, Diagnostic, similar},
    expr::{Expr, Var},
    source::{FileId, Name, Span, Spanned},
    syntax::ast::{self, Annotation, Arg, Block, ExprKind},
    types::Type,
    value::Value,
};

impl Checker {
    /// A test, which stands in `file`.
    pub(super) fn test(&mut self, file: FileId, item: &ast::Item, body: Block) -> Test {
        let is_stub = |annotation: &&Annotation| &*annotation.name.node == "stub";
        let mut stubs: Vec<Stub> = Vec::new();
        for annotation in item.annotations.iter().filter(is_stub) {
            let Some(stub) = self.stub(file, annotation) else { continue };
            match stubs.iter().find(|earlier| earlier.task == stub.task) {
                Some(earlier) => self.report(
                    Diagnostic::new(Code::E0205, annotation.span, "this task has a stub already")
                        .label("a second one")
                        .related(earlier.span, "the first one"),
                ),
                None => stubs.push(stub),
            }
        }
        // Its text may hold what no path of a step should.
        let as_workflow = ast::Item {
            name: Spanned::new("test".into(), item.name.span),
            annotations: item.annotations.iter().filter(|annotation| !is_stub(annotation)).cloned().collect(),
            ..item.clone()
        };
        let mut place = Place::new(file);
        place.is_test = true;
        let workflow = self.workflow(place, &as_workflow, &[], None, body);
        Test { name: item.name.node.clone(), workflow, stubs }
    }

    /// `@stub(task, field: value)`, `@stub(task, value)`, `@stub(task, |a, b| value)` or `@stub(task, fails: Kind)`.
    fn stub(&mut self, file: FileId, annotation: &Annotation) -> Option<Stub> {
        let how = "write `@stub(task, field: value)` with all fields of its result, `@stub(task, |a, b| result)` with its \
                   parameters, or `@stub(task, fails: TaskFailed)`";
        let wrong = |span: Span, message: String| Diagnostic::new(Code::E0202, span, message).help(how);
        let Some((first, rest)) = annotation.args.split_first().filter(|(first, _)| first.name.is_none()) else {
            self.report(wrong(annotation.span, "`@stub` needs a task".into()));
            return None;
        };
        let mut place = Place::new(file);
        let id = self.target(&mut place, &first.value)?;
        let task = match self.def(id) {
            Def::Task(task) => task,
            Def::Broken => return None,
            _ => {
                self.report(
                    Diagnostic::new(Code::E0201, first.value.span, "only a task can have a stub")
                        .label("not a task")
                        .help("a test trains, searches and evaluates for real: let it do so on little data"),
                );
                return None;
            }
        };
        let (params, outcome) = match rest {
            [Arg { name: Some(name), value, .. }] if &*name.node == "fails" => {
                let kind = match &value.kind {
                    ExprKind::Name(kind) => kind.clone(),
                    _ => "".into(),
                };
                (Vec::new(), Outcome::Fails(self.failure_kind(&kind, value.span)?))
            }
            [Arg { name: None, value, spread: false }] => self.stub_value(&mut place, &task, value)?,
            fields if fields.iter().all(|field| field.name.is_some()) => {
                (Vec::new(), Outcome::Gives(self.stub_fields(&mut place, &task, fields, annotation.span)?))
            }
            _ => {
                self.report(wrong(annotation.span, format!("this can't stand for `{}`", task.name)));
                return None;
            }
        };
        Some(Stub { task: task.shared.declared, params, outcome, span: annotation.span })
    }

    fn stub_value(&mut self, place: &mut Place, task: &TaskDef, value: &ast::Expr) -> Option<(Vec<Var>, Outcome)> {
        let output = &task.shared.output;
        let ExprKind::Lambda(names, body) = &value.kind else {
            return Some((Vec::new(), Outcome::Gives(self.value(place, value, Some(output)).0)));
        };
        if names.len() != task.params.len() {
            let params: Vec<&str> = task.params.iter().map(|param| &*param.name).collect();
            let help = match params.as_slice() {
                [] => "give the result itself: `@stub(task, field: value)`".into(),
                params => format!("name all of them: `|{}| …`", params.join(", ")),
            };
            self.report(
                Diagnostic::new(Code::E0202, value.span, format!("these are not the parameters of `{}`", task.name))
                    .label(format!("takes {}, not {}", names.len(), params.len()))
                    .help(help),
            );
            return None;
        }
        let mut params = Vec::new();
        for (name, param) in names.iter().zip(&task.params) {
            let var = self.fresh();
            params.push(var);
            place.shifting.push(var);
            place.bind_param(&name.node, name.span, var, param.ty.clone(), param.secret);
        }
        let value = self.value(place, body, Some(output)).0;
        Some((params, Outcome::Gives(value)))
    }

    fn stub_fields(&mut self, place: &mut Place, task: &TaskDef, fields: &[Arg], span: Span) -> Option<Expr> {
        let Type::Record(types) = &task.shared.output else { return None };
        let mut values: Vec<(Name, Expr)> = Vec::new();
        let before = self.mistakes();
        for field in fields {
            let Some(name) = &field.name else { continue };
            match types.get(&name.node) {
                Some(_) if values.iter().any(|(other, _)| *other == name.node) => self.report(
                    Diagnostic::new(Code::E0202, name.span, format!("`{}` is given twice", name.node))
                        .label("given again"),
                ),
                Some(ty) => values.push((name.node.clone(), self.value(place, &field.value, Some(ty)).0)),
                None => {
                    let near = similar(&name.node, types.keys().map(|name| &**name));
                    let known: Vec<String> = types.keys().map(|name| format!("`{name}`")).collect();
                    let help = near.map_or_else(
                        || format!("there are {}", known.join(", ")),
                        |name| format!("did you mean `{name}`?"),
                    );
                    self.report(
                        Diagnostic::new(
                            Code::E0203,
                            name.span,
                            format!("the result of `{}` has no field `{}`", task.name, name.node),
                        )
                        .label("unknown field")
                        .help(help),
                    );
                }
            }
        }
        // A field that is missing may be one that is misspelt.
        let sound = self.mistakes() == before;
        for (name, ty) in types.iter().filter(|_| sound) {
            if values.iter().any(|(given, _)| given == name) {
                continue;
            }
            if !matches!(ty, Type::Optional(_)) {
                self.report(
                    Diagnostic::new(Code::E0202, span, format!("the stub of `{}` gives no `{name}`", task.name))
                        .label(format!("`{name}: {ty}` is missing")),
                );
            }
            values.push((name.clone(), Expr::Const(Value::None)));
        }
        Some(Expr::Record(None, values))
    }
}
