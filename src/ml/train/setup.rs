//! A training before its first step.

use super::{
    About, Checkpoints, Context, Ledger, Lesson, Loss, MlError, Network, Optimizer, Part, RoundClock, Schedule,
    Shuffle, Train, Training, Var, read, unusable,
};
use crate::{
    layers::{self, Shape},
    ml::state::State,
    value::Hash,
    wire::{self, Every, Team},
};
use std::time::{Duration, Instant};

impl<'a> Training<'a> {
    pub(super) fn new(
        job: &'a Train,
        lesson: &'a Lesson<'a>,
        part: &mut Part,
        context: &mut Context,
    ) -> Result<Self, MlError> {
        let clock = RoundClock::new(part);
        let about = lesson.about();
        let (network, output) = network(job, about)?;
        let all = shards(job)?;
        let outputs = output.width();
        let loss = Loss::choose(job.loss.as_ref(), &about.train.labels, outputs, &job.model.name)?;
        lesson.check_vocabulary(&network)?;
        let optimizer = Optimizer::parse(&job.optimizer, network.size())?;
        let mut weights = network.initial(job.seed.child("init"));
        if let Some(init) = &job.init {
            let bytes = read(context, init)?;
            weights = State::from_bytes::<serde_json::Value>(&bytes, &init.name)?.0.weights(&network)?;
        }
        check_validation(job, about)?;
        let (rank, of) = (part.group.rank(), part.group.of());
        if !all.is_multiple_of(of) {
            return Err(unusable(
                format!("{of} workers can't share {all} shards of each batch"),
                "let the number of workers divide the `shards`",
            ));
        }
        let shuffle = Shuffle::new(about.train.rows, all, job.seed);
        let shards = rank * all / of..(rank + 1) * all / of;
        let dealt = match lesson {
            Lesson::Whole(_) => Vec::new(),
            Lesson::Dealt(_) => shards.clone().map(|shard| shuffle.first(shard)).collect(),
        };
        let workshop = context.objects.workshop();
        let mut training = Self {
            job,
            lesson,
            about,
            outputs,
            loss,
            schedule: Schedule::parse(job.schedule.as_ref()),
            train_metrics: job.asked(Var::TRAIN).into_iter().collect(),
            valid_metrics: job.asked(Var::VALID).into_iter().collect(),
            shuffle,
            dealt,
            shards,
            network,
            weights,
            best_weights: None,
            optimizer,
            ledger: Ledger::default(),
            met: vec![Vec::new(); all / of],
            checkpoints: Checkpoints::new(
                context.scratch,
                workshop,
                identity(job, about)?,
                part.round,
                job.team.checkpoint,
            ),
            until: part.until,
            decides: part.decides,
            clock,
        };
        training.fetch(rank, of);
        training.restore(part.group, context)?;
        Ok(training)
    }
}

/// The shards that every batch is cut into.
pub(super) fn shards(job: &Train) -> Result<usize, MlError> {
    if let Some(batch) = job.batch.values().find(|batch| *batch == 0 || *batch > 1 << 24) {
        return Err(unusable(format!("a batch must hold 1 to 2^24 samples, not {batch}"), "64 is usual"));
    }
    let all = wire::shards(&job.batch, job.shards);
    if let Some(batch) = job.batch.values().find(|batch| all == 0 || !batch.is_multiple_of(all)) {
        let message = format!("a batch of {batch} samples can't be cut into {all} shards");
        return Err(unusable(message, "let the `shards` divide every `batch`"));
    }
    Ok(all as usize)
}

/// The plan of the model, and the shape of what comes out of it.
pub(super) fn network(job: &Train, about: &About) -> Result<(Network, Shape), MlError> {
    let (model, input) = (&job.model, Shape(about.train.shape.clone()));
    let (blocks, output) = layers::check(&model.layers, &input).map_err(|error| {
        unusable(
            format!("the model `{}` does not fit `{}`, whose samples are {input}: {error}", model.name, job.data.name),
            error.help().unwrap_or("the data's own sizes are `data.width` and `data.classes`"),
        )
    })?;
    Ok((Network::new(&blocks), output))
}

/// The hash of all that a training's course depends on, which is not who trains.
fn identity(job: &Train, about: &About) -> Result<Hash, MlError> {
    let job = Train { team: Team::default(), ..job.clone() };
    let all = (wire::BUILD, &job, about.hash, about.valid_hash);
    let text = serde_json::to_vec(&all)
        .map_err(|error| unusable(format!("the job can't be written: {error}"), "this is a fault of smltc"))?;
    Ok(Hash::of(&text))
}

fn check_validation(job: &Train, about: &About) -> Result<(), MlError> {
    if about.valid.rows > 0 && about.valid.shape != about.train.shape {
        let [found, wanted] = [&about.valid, &about.train].map(|outline| Shape(outline.shape.clone()));
        return Err(unusable(
            format!("the samples to validate on are {found}, but those to train on are {wanted}"),
            "give `valid:` data of the same shape",
        ));
    }
    let mut reads = false;
    for expr in job.until.iter().chain(job.objective.as_ref().map(|(expr, _)| expr)) {
        expr.fields_of(Var::VALID, &mut |_| reads = true);
    }
    if about.valid.rows == 0 && reads {
        return Err(unusable(
            format!("there is nothing to validate on: the validation part of `{}` is empty", job.data.name),
            "give `valid` a share of the split, or set `valid:` to other data",
        ));
    }
    Ok(())
}

impl RoundClock {
    fn new(part: &Part) -> Self {
        Self {
            started: Instant::now(),
            number: part.round,
            replan: part.replan,
            steps: 0,
            epochs: 0,
            samples: 0,
            loss: 0.0,
            computing: Duration::ZERO,
        }
    }

    /// Whether the round's time is up.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.replan, Some(Every::Time(time)) if self.started.elapsed() >= Duration::from(time))
    }

    /// Whether the round has had its steps.
    pub(super) fn is_full(&self, steps: u64) -> bool {
        matches!(self.replan, Some(Every::Steps(every)) if steps >= self.steps + every.max(1))
    }

    /// Whether the round has had its epochs.
    pub(super) fn is_complete(&self, epochs: u64) -> bool {
        matches!(self.replan, Some(Every::Epochs(every)) if epochs >= self.epochs + every.max(1))
    }
}
