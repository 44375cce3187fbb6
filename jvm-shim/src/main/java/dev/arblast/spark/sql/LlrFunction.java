package dev.arblast.spark.sql;

import dev.arblast.internal.Llr;
import org.apache.spark.sql.api.java.UDF4;

/** {@code llr(k11, k12, k21, k22)}. */
final class LlrFunction implements UDF4<Object, Object, Object, Object, Double> {
  private static final long serialVersionUID = 1;

  @Override
  public Double call(Object k11, Object k12, Object k21, Object k22) {
    if (k11 == null || k12 == null || k21 == null || k22 == null) {
      return null;
    }
    return Llr.of(count("k11", k11), count("k12", k12), count("k21", k21), count("k22", k22));
  }

  private static long count(String name, Object value) {
    long count = Arguments.whole("llr", name, value);
    if (count < 0) {
      throw new IllegalArgumentException("llr: " + name + " is a count and must not be negative, got " + count);
    }
    return count;
  }
}
