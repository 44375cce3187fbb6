package dev.arblast.internal;

import java.io.File;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;

/** Measures {@link BorderPasses} of one jar or several, pass by pass in turn; prints JSON lines and a table. See {@code bench/spark/jni}. */
public final class Border {
  private static final String[] WHAT = {"pairs", "text", "lines", "events", "calls", "table", "answer"};
  /** Passes before the first that counts: the JVM compiles. */
  private static final int WARM_UP = 4;

  private final String[] jars;
  private final int passes;
  /** Figure → jar → pass. */
  private final Map<String, double[][]> figures = new LinkedHashMap<>();

  private Border(String[] jars, int passes) {
    this.jars = jars;
    this.passes = passes;
  }

  /** Folder of these classes, passes, jars. */
  public static void main(String[] arguments) throws Exception {
    Border border = new Border(Arrays.copyOfRange(arguments, 2, arguments.length), Integer.parseInt(arguments[1]));
    Path folder = Files.createTempDirectory("arblast-bench-");
    try {
      border.measure(Paths.get(arguments[0]), folder);
    } finally {
      try (Stream<Path> files = Files.walk(folder)) {
        files.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
      }
    }
    border.print();
  }

  private void measure(Path classes, Path folder) throws Exception {
    List<Function<String, Map<String, Double>>> sides = new ArrayList<>();
    for (String jar : jars) {
      sides.add(side(jar, classes));
      sides.get(sides.size() - 1).apply(folder.resolve("models" + sides.size()).toString());
    }
    for (String what : WHAT) {
      for (int pass = -WARM_UP; pass < passes; pass++) {
        // Nobody is always the first after whatever was before.
        for (int n = 0; n < jars.length; n++) {
          int side = Math.floorMod(pass + n, jars.length);
          keep(side, pass, sides.get(side).apply(what));
        }
      }
    }
  }

  @SuppressWarnings("unchecked")
  private static Function<String, Map<String, Double>> side(String jar, Path classes) throws Exception {
    URL[] urls = {new File(jar).toURI().toURL(), classes.toUri().toURL()};
    ClassLoader loader = new URLClassLoader(urls, ClassLoader.getSystemClassLoader().getParent());
    // Early versions looked for their classes there.
    Thread.currentThread().setContextClassLoader(loader);
    return (Function<String, Map<String, Double>>) loader.loadClass(BorderPasses.class.getName()).getDeclaredConstructor().newInstance();
  }

  private void keep(int side, int pass, Map<String, Double> measured) {
    measured.forEach((figure, value) -> {
      double[][] kept = figures.computeIfAbsent(figure, name -> new double[jars.length][passes]);
      if (pass >= 0) {
        kept[side][pass] = value;
      }
    });
  }

  private static double quantile(double[] values, double share) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[(int) Math.round(share * (sorted.length - 1))];
  }

  private void print() {
    figures.forEach((figure, values) -> {
      for (int side = 0; side < jars.length; side++) {
        System.err.printf(
            Locale.ROOT, "{\"bench\":\"jni\",\"jar\":\"%s\",\"figure\":\"%s\",\"median\":%.4g,\"least\":%.4g,\"passes\":%s}%n", jars[side], figure,
            quantile(values[side], 0.5), quantile(values[side], 0), Arrays.toString(values[side]));
      }
    });
    StringBuilder head = new StringBuilder("| ns a row, unless said otherwise |");
    for (int side = 0; side < jars.length; side++) {
      head.append(" ").append(jars[side]).append(" | spread | M rows/s |").append(side > 0 ? " ratio |" : "");
    }
    System.out.println(head);
    System.out.println(head.toString().replaceAll("[^|]+", "---"));
    figures.forEach((figure, values) -> System.out.println(line(figure, values)));
  }

  /** Medians, the middle half of the passes as a share of them, and the median of the ratios to the first jar, pass by pass. */
  private String line(String figure, double[][] values) {
    StringBuilder line = new StringBuilder("| " + figure + " |");
    for (int side = 0; side < values.length; side++) {
      double median = quantile(values[side], 0.5);
      double spread = (quantile(values[side], 0.75) - quantile(values[side], 0.25)) / median;
      String rate = figure.contains(",") ? "" : String.format(Locale.ROOT, "%.2f", 1e3 / median);
      line.append(String.format(Locale.ROOT, " %.4g | %.0f %% | %s |", median, spread * 100, rate));
      if (side > 0) {
        double[] ratios = new double[passes];
        Arrays.setAll(ratios, ratioOf(values[0], values[side]));
        line.append(String.format(Locale.ROOT, " %.2f |", quantile(ratios, 0.5)));
      }
    }
    return line.toString();
  }

  private static java.util.function.IntToDoubleFunction ratioOf(double[] old, double[] now) {
    return pass -> now[pass] / old[pass];
  }
}
