//! Shapes through a pipeline, as far as layers and data are known.

use super::{
    Block, Layer, LayerError, Mend, Misfit, ModelError, ShapeError, Window, Work, Wrong,
    draft::{Draft, pipeline},
    form::{Form, Shape, fits},
};
use crate::value::Call;

/// A size that may not be known yet.
type Size = Option<usize>;

/// The parts of a model that calls of `std/nn` stand for, and the shape of what comes out, when samples of shape `input`
/// come in.
///
/// # Errors
/// When a layer makes no sense or does not fit the one before it.
pub fn check(calls: &[Call], input: &Shape) -> Result<(Vec<Block>, Shape), ModelError> {
    if calls.is_empty() {
        return Err(ModelError::Empty);
    }
    let drafts = pipeline(calls);
    let (blocks, output) = infer(&drafts, &Form::from(input))?;
    // All is known of what a run works with, unless a call was tampered with on its way.
    let lacking = || ModelError::Layer { message: LayerError::Incomplete("a layer".into()).to_string(), help: None };
    Ok((blocks.ok_or_else(lacking)?, output.exact().ok_or_else(lacking)?))
}

/// The parts of a model, when all is known of them, and what is known of what comes out.
///
/// # Errors
/// What is wrong with the first layer that makes no sense or can't take what comes in.
pub fn infer<'a>(pipeline: &'a [Option<Draft>], input: &Form) -> Result<(Option<Vec<Block>>, Form), Misfit<'a>> {
    let mut flow = Flow::of(input);
    let blocks = flow.through(pipeline, "")?;
    Ok((blocks, flow.form))
}

/// The work that calls of `std/nn` stand for, when samples of shape `input` come in.
///
/// # Errors
/// When a layer makes no sense or does not fit the one before it.
pub fn work(calls: &[Call], input: &Shape) -> Result<Work, ModelError> {
    let drafts = pipeline(calls);
    let mut flow = Flow::of(&Form::from(input));
    flow.through(&drafts, "")?;
    Ok(flow.work)
}

/// What is known on the way through a pipeline.
#[derive(Clone)]
struct Flow<'a> {
    form: Form,
    giver: Option<&'a Draft>,
    /// That of the layers passed, as far as they and their shapes are known.
    work: Work,
}

impl<'a> Flow<'a> {
    fn of(input: &Form) -> Self {
        Self { form: input.clone(), giver: None, work: Work::default() }
    }

    fn through(&mut self, pipeline: &'a [Option<Draft>], within: &str) -> Result<Option<Vec<Block>>, Misfit<'a>> {
        let mut blocks = Some(Vec::with_capacity(pipeline.len()));
        for (draft, number) in pipeline.iter().zip(1..) {
            let block = match draft {
                None => {
                    *self = Self { form: Form::any(), giver: None, work: self.work };
                    None
                }
                Some(draft) => self.step(draft, format!("layer {number}{within}"))?,
            };
            blocks = blocks.zip(block).map(|(mut blocks, block)| {
                blocks.push(block);
                blocks
            });
        }
        Ok(blocks)
    }

    fn step(&mut self, draft: &'a Draft, place: String) -> Result<Option<Block>, Misfit<'a>> {
        if &*draft.name == "residual" {
            return self.residual(draft, place);
        }
        let wrong = |wrong| Misfit { place, layer: draft, giver: self.giver, wrong: Box::new(wrong) };
        let layer = match draft.layer() {
            Ok(layer) => layer,
            Err(error) => return Err(wrong(Wrong::Layer(error))),
        };
        let output = match layer.output(&self.form) {
            Ok(output) => output,
            Err(error) => return Err(wrong(Wrong::Shape(error))),
        };
        let layer = layer.complete();
        if let (Some(layer), Some(from), Some(to)) = (&layer, self.form.exact(), output.exact()) {
            self.work += layer.work(&from, &to);
        }
        if output != self.form {
            (self.form, self.giver) = (output, Some(draft));
        }
        Ok(layer.map(Block::Layer))
    }

    fn residual(&mut self, draft: &'a Draft, place: String) -> Result<Option<Block>, Misfit<'a>> {
        let (body, shortcut) = (draft.layers("body"), draft.layers("shortcut"));
        let before = self.work;
        let (mut one, mut other) = (self.clone(), self.clone());
        let blocks = one.through(body, &format!(" of the body of {place}"))?;
        let others = other.through(shortcut, &format!(" of the shortcut of {place}"))?;
        if !one.form.fits(&other.form) {
            let error = ShapeError::Sum { body: one.form, other: other.form, shortcut: !shortcut.is_empty() };
            return Err(Misfit { place, layer: draft, giver: self.giver, wrong: Box::new(Wrong::Shape(error)) });
        }
        let form = one.form.or(&other.form);
        self.work = one.work;
        // Both ways set out with the work before them.
        self.work += other.work - before;
        if form != self.form {
            (self.form, self.giver) = (form, Some(draft));
        }
        Ok(blocks.zip(others).map(|(body, shortcut)| Block::Residual { body, shortcut }))
    }
}

impl Window<Size> {
    /// The shape of an image after the window has moved over it, when it is one and large enough.
    fn over(self, [channels, height, width]: [Size; 3]) -> Option<Form> {
        let side = |length: Size| match (self.complete(), length) {
            (Some(window), Some(length)) => window.positions(length).map(Some),
            _ => Some(None),
        };
        Some(Form::whole([channels, side(height)?, side(width)?]))
    }

    fn too_large(self, input: &Form) -> ShapeError {
        let side = self.size.unwrap_or(0);
        let wanted = format!("an image of at least {side}×{side}");
        ShapeError::Input { wanted, found: input.clone(), mend: Some(Mend::Room) }
    }
}

impl Layer<Size> {
    /// What is known of what comes out when samples of the form `input` come in.
    ///
    /// # Errors
    /// When it can't take them, whatever is not known yet.
    pub fn output(&self, input: &Form) -> Result<Form, ShapeError> {
        let refuse = |wanted: String, mend: Option<Mend>| Err(ShapeError::Input { wanted, found: input.clone(), mend });
        let named = |size: Size| size.map_or("_".into(), |size| size.to_string());
        match *self {
            Self::Dense { inputs, outputs, .. } => {
                if fits(input.last(), inputs) {
                    return Ok(input.with_last(outputs));
                }
                let wanted = match input.sizes() {
                    Some([_]) if input.width().is_some() => format!("[{}]", named(inputs)),
                    _ => format!("rows of {} numbers", named(inputs)),
                };
                refuse(wanted, mend_last(input, "inputs", inputs))
            }
            Self::Conv2d { inputs, outputs, window, .. } => match input.sizes() {
                Some([channels, height, width]) if fits(channels, inputs) => {
                    window.over([outputs, height, width]).ok_or_else(|| window.too_large(input))
                }
                Some([channels, ..]) => {
                    let mend = channels.map(|channels| Mend::Argument("inputs", channels));
                    refuse(format!("an image [{}, height, width]", named(inputs)), mend)
                }
                None => refuse(format!("an image [{}, height, width]", named(inputs)), Some(Mend::Image)),
            },
            Self::MaxPool2d(window) | Self::AvgPool2d(window) => match input.sizes() {
                Some(sizes) => window.over(sizes).ok_or_else(|| window.too_large(input)),
                None => refuse("an image [channels, height, width]".into(), Some(Mend::Image)),
            },
            Self::GlobalAvgPool => match input.sizes() {
                Some([channels, _, _]) => Ok(Form::whole([channels])),
                None => refuse("an image [channels, height, width]".into(), Some(Mend::Image)),
            },
            Self::MeanPool => match input.sizes() {
                Some([_, features]) => Ok(Form::whole([features])),
                None => refuse("rows [length, features]".into(), Some(Mend::Rows)),
            },
            Self::BatchNorm { features } => {
                let flat = input.sizes().map(|[first]| first);
                let image = input.sizes().map(|[first, _, _]| first);
                if flat.into_iter().chain(image).any(|first| fits(first, features)) {
                    return Ok(input.clone());
                }
                let first = flat.or(image).flatten();
                let mend = first.map(|first| Mend::Argument("features", first));
                refuse(format!("[{0}] or an image [{0}, height, width]", named(features)), mend)
            }
            Self::LayerNorm { features } => match input.last() {
                last if fits(last, features) => Ok(input.with_last(last.or(features))),
                last => refuse(
                    format!("rows of {} numbers", named(features)),
                    last.map(|last| Mend::Argument("features", last)),
                ),
            },
            Self::Embedding { features, .. } => match input.sizes() {
                Some([length]) => Ok(Form::whole([length, features])),
                None => refuse("a flat row of whole numbers".into(), Some(Mend::Flatten(None))),
            },
            Self::Positions { length, features } => match input.sizes() {
                Some([rows, width]) if fits(rows, length) && fits(width, features) => {
                    Ok(Form::whole([rows.or(length), width.or(features)]))
                }
                Some([Some(rows), width]) if fits(width, features) => {
                    refuse(format!("[{}, {}]", named(length), named(features)), Some(Mend::Argument("length", rows)))
                }
                Some([_, width]) => refuse(
                    format!("[{}, {}]", named(length), named(features)),
                    width.map(|width| Mend::Argument("features", width)),
                ),
                None => refuse(format!("[{}, {}]", named(length), named(features)), Some(Mend::Rows)),
            },
            Self::Attention { features, .. } => match input.sizes() {
                Some([rows, width]) if fits(width, features) => Ok(Form::whole([rows, width.or(features)])),
                Some([_, width]) => refuse(
                    format!("rows of {} numbers", named(features)),
                    width.map(|width| Mend::Argument("features", width)),
                ),
                None => refuse(format!("rows [length, {}]", named(features)), Some(Mend::Rows)),
            },
            Self::Flatten => Ok(Form::whole([input.width()])),
            Self::Reshape { ref shape } if shape.is_empty() => Ok(Form::any()),
            Self::Reshape { ref shape } => {
                let wanted = Form::whole(shape.iter().copied());
                match wanted.width() {
                    Some(width) if !fits(Some(width), input.width()) => {
                        refuse(format!("{width} numbers"), input.width().map(Mend::Numbers))
                    }
                    _ => Ok(wanted),
                }
            }
            Self::Relu | Self::Gelu | Self::Tanh | Self::Sigmoid | Self::Softmax | Self::Dropout { .. } => {
                Ok(input.clone())
            }
        }
    }
}

/// What helps a layer whose argument `name` must be the last size of what comes in.
fn mend_last(input: &Form, name: &'static str, given: Size) -> Option<Mend> {
    let image = input.sizes().is_some_and(|[_, _, _]: [Size; 3]| true);
    match input.width() {
        Some(width) if given == Some(width) => Some(Mend::Flatten(None)),
        Some(width) if image => Some(Mend::Flatten(Some((name, width)))),
        _ => input.last().map(|last| Mend::Argument(name, last)),
    }
}
