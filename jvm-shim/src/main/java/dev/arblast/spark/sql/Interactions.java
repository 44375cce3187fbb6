package dev.arblast.spark.sql;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;

/** The rows of a group on their way to be counted: (user, item) pairs by indicator. */
public final class Interactions implements Serializable {
  private static final long serialVersionUID = 1;

  private final TreeMap<String, PairBytes> indicators = new TreeMap<>();
  private String primary;

  void setPrimary(String name) {
    if (name == null) {
      throw new IllegalArgumentException("correlators: the primary indicator, its first argument, must not be null");
    }
    if (primary != null && !primary.equals(name)) {
      throw new IllegalArgumentException(
          "correlators: the primary indicator, its first argument, must be the same in all rows of a group, got \"" + primary + "\" and \""
              + name + "\"");
    }
    primary = name;
  }

  void add(String indicator, String user, String item) {
    pairs(indicator).add(user.getBytes(StandardCharsets.UTF_8), item.getBytes(StandardCharsets.UTF_8));
  }

  void addAll(Interactions other) {
    if (other.primary != null) {
      setPrimary(other.primary);
    }
    other.indicators.forEach((indicator, pairs) -> pairs(indicator).addAll(pairs));
  }

  private PairBytes pairs(String indicator) {
    return indicators.computeIfAbsent(indicator, name -> new PairBytes());
  }

  /** Null: there was no row. */
  String primary() {
    return primary;
  }

  /** By name. */
  Map<String, PairBytes> indicators() {
    return indicators;
  }
}
