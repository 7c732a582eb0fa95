//! What the calls of a run have cost, each in an object of its own whose key says it all: one listing adds them up.

use crate::{
    prices::Prices,
    units::{Duration, Money, Size},
    wire::{Charge, Failure},
    work::Shared,
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
    time::{SystemTime, UNIX_EPOCH},
};

/// A call that was not heard of for so long has ended without a word.
const LONGEST: i64 = 16 * 60 * 1000;

/// The ledger of a run.
#[derive(Clone)]
pub(super) struct Ledger {
    shared: Arc<Shared>,
    /// What its keys begin with.
    run: String,
    /// The call that writes in it.
    call: String,
    /// The memory of that call.
    memory: Size,
    /// When it began.
    began: SystemTime,
    pub prices: &'static Prices,
}

/// The prices that calls are charged at.
pub static PRICES: LazyLock<Prices> = LazyLock::new(Prices::embedded);

/// What was spent in a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// By calls that are over, and by now by those that are not.
    pub money: Money,
    /// When the first of them began, in milliseconds since 1970.
    pub since: Option<i64>,
    /// The memory of those that are not over, in MiB.
    pub memory: i128,
}

impl Ledger {
    /// The ledger of a run, in which a call with so much memory writes that has just begun.
    pub fn new(shared: Arc<Shared>, run: &str, call: &str, memory: Size) -> Self {
        let (run, call, began) = (format!("runs/{run}"), call.to_owned(), SystemTime::now());
        Self { shared, run, call, memory, began, prices: &PRICES }
    }

    /// Says that a call of a step begins.
    pub fn begin(&self, path: &str) -> Result<(), Failure> {
        self.write("running", self.beginning(path))
    }

    fn beginning(&self, path: &str) -> Charge {
        let amount = i64::try_from(self.memory.mib()).unwrap_or(i64::MAX);
        Charge { amount, ..self.charge(path, Charge::PART) }
    }

    /// Says what it has cost, and what kind of step it has ended.
    pub fn end(&self, path: &str, worked: Duration, kind: &str) -> Result<(), Failure> {
        let cost = self.prices.attempt(self.memory, worked).dollars() * Decimal::from(1_000_000_000);
        let nanos = cost.round().to_i64().unwrap_or(i64::MAX);
        self.write("ledger", Charge { amount: worked.millis(), nanos, ..self.charge(path, kind) })
    }

    fn charge(&self, path: &str, kind: &str) -> Charge {
        let (path, call, kind) = (path.to_owned(), self.call.clone(), kind.to_owned());
        Charge { path, call, at: millis(SystemTime::now()), amount: 0, nanos: 0, kind }
    }

    fn write(&self, among: &str, charge: Charge) -> Result<(), Failure> {
        self.shared.put(&format!("{}/{among}/{charge}", self.run), Vec::new())
    }

    /// The lines at a path and below.
    fn read(&self, among: &str, path: &str) -> Result<Vec<Charge>, Failure> {
        let folder = format!("{}/{among}/", self.run);
        let keys = self.shared.list(&format!("{folder}{}", Charge::folder(path)))?;
        Ok(keys.iter().filter_map(|key| Charge::read(key.strip_prefix(&folder)?)).collect())
    }

    /// What calls have cost at a path and below that were over by `until`.
    pub fn paid(&self, path: &str, until: Option<SystemTime>) -> Result<Spent, Failure> {
        let until = until.map_or(i64::MAX, millis);
        Ok(Self::sum(self.read("ledger", path)?.iter().filter(|call| call.at <= until)))
    }

    fn sum<'c>(calls: impl Iterator<Item = &'c Charge>) -> Spent {
        let (mut nanos, mut since) = (0_i64, None);
        for call in calls {
            nanos = nanos.saturating_add(call.nanos);
            since = earliest(since, call.at.saturating_sub(call.amount));
        }
        Spent { money: Money::new(Decimal::new(nanos, 9)), since, memory: 0 }
    }

    /// The same, with what the calls that are not over have cost by now, as far as they have said that they begin.
    pub fn spent(&self, path: &str) -> Result<Spent, Failure> {
        self.sum_of(path, self.read("running", path)?)
    }

    /// The same, with the call that writes, whether or not it has said so.
    pub fn spent_with_own(&self, path: &str) -> Result<Spent, Failure> {
        let mut running = self.read("running", path)?;
        if running.iter().all(|call| call.call != self.call) {
            running.push(Charge { at: millis(self.began), ..self.beginning(path) });
        }
        self.sum_of(path, running)
    }

    fn sum_of(&self, path: &str, running: Vec<Charge>) -> Result<Spent, Failure> {
        // Who ends between the two listings is seen as over.
        let ended = self.read("ledger", path)?;
        let over: BTreeSet<&str> = ended.iter().map(|call| &*call.call).collect();
        let paid = Self::sum(ended.iter());
        let now = millis(SystemTime::now());
        let is_running = |call: &&Charge| !over.contains(&*call.call) && now - call.at < LONGEST;
        let (mut money, mut memory, mut since) = (paid.money, 0, paid.since);
        for call in running.iter().filter(is_running) {
            let size = Size::from_mib(call.amount.unsigned_abs());
            let cost = self.prices.attempt(size, Duration::from_millis((now - call.at).max(0)));
            money = money.checked_add(cost).unwrap_or(money);
            memory += i128::from(call.amount);
            since = earliest(since, call.at);
        }
        Ok(Spent { money, since, memory })
    }
}

fn earliest(since: Option<i64>, began: i64) -> Option<i64> {
    Some(since.map_or(began, |since| since.min(began)))
}

/// A time in milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_cost_adds_up_by_scope() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::in_folder(folder.path()).unwrap());
        let of = |call| Ledger::new(shared.clone(), "fox", call, Size::from_mib(1024));
        let (memory, second) = (Size::from_mib(1024), Duration::from_millis(1000));
        let each = PRICES.attempt(memory, second);
        of("a").end("main/best/trial[1]", second, "run").unwrap();
        of("b").end("main/best/trial[12]/rung[0]", second, "run").unwrap();
        of("c").end("main/best2", second, "run").unwrap();
        let cost = |path: &str| of("x").paid(path, None).unwrap().money.to_f64();
        let times = |path: &str| (cost(path) / each.to_f64()).round();
        let paths = ["main", "main/best", "main/best/trial[1]", "main/best/trial[12]", "main/other"];
        assert_eq!(paths.map(times), [3.0, 2.0, 1.0, 1.0, 0.0]);
        assert_eq!(of("x").paid("main", Some(UNIX_EPOCH)).unwrap(), Spent::default());
        let ago = millis(SystemTime::now()) - of("x").paid("main", None).unwrap().since.unwrap();
        assert!((1000..60_000).contains(&ago), "the first of them began {ago} ms ago");
    }

    #[test]
    fn a_call_counts_from_its_beginning_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::in_folder(folder.path()).unwrap());
        let ledger = Ledger::new(shared, "fox", "a", Size::from_mib(2048));
        let before = ledger.spent_with_own("main").unwrap();
        assert_eq!(ledger.spent("main").unwrap(), Spent::default());
        ledger.begin("main/net").unwrap();
        let spent = ledger.spent("main").unwrap();
        assert_eq!((before.memory, spent.memory), (2048, 2048));
        assert_eq!(before.since, Some(millis(ledger.began)));
        assert!(spent.since >= before.since);
        assert!(spent.money >= PRICES.start());
        ledger.end("main/net", Duration::from_millis(5), "run").unwrap();
        let spent = ledger.spent("main").unwrap();
        // A line is rounded to billionths.
        let cost = PRICES.attempt(Size::from_mib(2048), Duration::from_millis(5)).dollars().round_dp(9);
        assert_eq!((spent.memory, spent.money.dollars()), (0, cost));
    }
}
