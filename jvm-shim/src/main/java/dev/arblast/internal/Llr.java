package dev.arblast.internal;

/** The log-likelihood ratio of a table of four counts. */
public final class Llr {
  private Llr() {}

  /**
   * How much {@code k11}, the users with both things, speaks against chance; 0: not at all.
   *
   * @param k12 users with the first thing only
   * @param k21 users with the second thing only
   * @param k22 users with neither
   */
  public static double of(long k11, long k12, long k21, long k22) {
    return Native.llr(k11, k12, k21, k22);
  }
}
