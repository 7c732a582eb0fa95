use super::*;

#[test]
fn the_tables_of_the_normal_distribution_hold() {
    for (z, share) in
        [(0.0, 0.5), (1.0, 0.841_344_746_068_543), (-1.96, 0.024_997_895_148_220), (3.0, 0.998_650_101_968_370)]
    {
        assert!((cumulative(z) - share).abs() < 1e-14, "{z}");
        assert!((quantile(share) - z).abs() < 1e-12, "{z}");
    }
    assert!(quantile(0.0) < -7.9 && (7.9..=8.0).contains(&quantile(1.0)));
}

#[test]
fn a_shortfall_is_the_integral_of_the_shares_below() {
    // The derivative of z Φ(z) + φ(z) is Φ(z).
    for z in [-20.0, -5.0, -1.0, 0.0, 2.0] {
        let step = 1e-5;
        let slope = (log_shortfall(z + step).exp() - log_shortfall(z - step).exp()) / (2.0 * step);
        assert!((slope / cumulative(z) - 1.0).abs() < 1e-4, "{z}: {slope}");
    }
}

#[test]
fn a_shortfall_far_out_goes_on_where_the_formula_ends() {
    let (near, far) = (log_shortfall(-30.0), log_shortfall(-30.0 - 1e-9));
    assert!((near - far).abs() < 1e-4, "{near} {far}");
    assert!(log_shortfall(-1e6).is_finite() && log_shortfall(-1e6) < log_shortfall(-1e5));
}
