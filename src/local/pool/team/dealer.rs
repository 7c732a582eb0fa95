//! The samples of a training, dealt out before its workers need them.

use super::{Attended, End, Leader, Sat, What, Word, tell};
use crate::{
    data::dealt,
    wire::{Job, Op, Role},
};
use std::pin::pin;
use tokio::sync::mpsc;

/// The seat that a job is for, if it needs samples of its own only.
pub fn seat(job: &Job) -> Option<Sat> {
    match (&job.op, job.role.seat()) {
        (Op::Train(train), Some(seat)) if seat.of > 1 => {
            Some(Sat { samples: dealt::key(train), rank: seat.rank, of: seat.of })
        }
        _ => None,
    }
}

impl Leader<'_> {
    /// Lets a worker deal the samples out, unless that was done before.
    pub(super) async fn deal(&mut self) -> End {
        let (sender, words) = mpsc::unbounded_channel();
        let (reports, mut heard) = mpsc::channel(16);
        let (attempt, hands) = (self.attended.attempt.clone(), self.attended.hands.clone());
        let mut dealer = Attended { attempt, words, reports, hands };
        let job = Job { role: Role::Dealer, ..self.job.clone() };
        let mut dealing = pin!(dealer.attend(job, self.limit, self.allowance));
        let end = loop {
            tokio::select! {
                word = self.attended.words.recv() => {
                    // A run that lets go of the attempt is over.
                    self.ending = true;
                    tell(&sender, word.unwrap_or(Word::Kill));
                }
                Some((_, What::Progress(progress))) = heard.recv() => self.hear(progress).await,
                end = &mut dealing => break end,
            }
        };
        while let Ok((_, What::Progress(progress))) = heard.try_recv() {
            self.hear(progress).await;
        }
        end
    }
}
