use crate::schedule::Time;
use std::time::Instant;

/// The clock of a run, which stands still while the run is cut off and knows nothing of the time of day.
pub(super) struct Clock {
    /// The run's time when this process took it up.
    begun: Time,
    since: Instant,
}

impl Clock {
    /// A clock that goes on from a time of the run.
    pub fn from(begun: Time) -> Self {
        Self { begun, since: Instant::now() }
    }

    /// The run's time, in whole milliseconds as the log has it.
    pub fn now(&self) -> Time {
        self.begun.after(self.since.elapsed().into())
    }

    /// The moment of a time of the run; one too far for the clock never comes.
    pub fn moment(&self, at: Time) -> Option<Instant> {
        self.since.checked_add(at.since(self.begun).into())
    }
}
