package dev.arblast.internal;

import java.util.Collection;
import java.util.Locale;
import java.util.stream.Collectors;

/** An indicator of interactions that are no events: its name and its caps, by default those of an engine file that sets none. */
public final class Indicator {
  /** Users and things with more interactions are thinned out to about so many. */
  public int maxItemsPerUser = 500;
  /** Correlators of an item. */
  public int maxCorrelators = 50;
  /** Weaker correlators are left out; null: none is. */
  public Double minLlr;

  private final String name;

  public Indicator(String name) {
    if (name == null || name.isEmpty() || name.startsWith("$")) {
      throw new IllegalArgumentException("an indicator needs a name that does not begin with $, got " + name);
    }
    this.name = name;
  }

  /** The engine file that says the same of all indicators, the primary one first. {@code seed} of the thinning out: null for the default. */
  public static String engine(Collection<Indicator> indicators, Long seed) {
    String listed = indicators.stream().map(Indicator::json).collect(Collectors.joining(",", "[", "]"));
    return "{\"id\":\"correlation\",\"engineFactory\":\"com.actionml.RecommendationEngine\","
        + "\"datasource\":{\"params\":{\"appName\":\"correlation\"}},\"algorithms\":[{\"name\":\"ur\",\"params\":{"
        + "\"appName\":\"correlation\",\"indexName\":\"correlation\",\"recsModel\":\"collabFiltering\","
        + (seed == null ? "" : "\"seed\":" + seed + ",") + "\"indicators\":" + listed + "}}]}";
  }

  private String json() {
    String least = minLlr == null ? "" : String.format(Locale.ROOT, ",\"minLLR\":%s", minLlr);
    return "{\"name\":" + Json.quote(name) + ",\"maxItemsPerUser\":" + maxItemsPerUser + ",\"maxCorrelatorsPerItem\":" + maxCorrelators + least + "}";
  }
}
