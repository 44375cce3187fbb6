package dev.arblast.internal;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.stream.Stream;

/**
 * A train, from its first event to its model: push or merge, {@link #prepare}, {@link #correlate} or blocks that were counted elsewhere,
 * {@link #assemble}, {@link #publish}. One caller at a time. Long steps look every second whether they should end.
 */
public final class TrainingSession extends NativeObject {
  private static final long LOOK_MS = 1000;
  /** Every so many looks it is told how far it is. */
  private static final int TELL = 5;

  private final BooleanSupplier cancelled;

  private TrainingSession(LongSupplier open, BooleanSupplier cancelled) {
    super(open);
    this.cancelled = cancelled;
  }

  /** For an engine file, at a time (ms since 1970) where windows end. */
  public static TrainingSession open(String engine, long nowMs, BooleanSupplier cancelled) {
    return new TrainingSession(() -> Native.openSession(utf8(engine), nowMs, false), cancelled);
  }

  /** One that only reads, and gives what it read to a session of the same engine file and time. */
  public static TrainingSession part(String engine, long nowMs) {
    return new TrainingSession(() -> Native.openSession(utf8(engine), nowMs, true), () -> false);
  }

  /** Adds a batch of one text column: event JSON. Gives the rows that were no events. */
  public long pushLines(Batch lines, boolean skipBad) {
    long bad = lines.rows() == 0 ? 0 : Native.pushLines(key(), skipBad, lines.rows(), lines.buffers());
    lines.clear();
    return bad;
  }

  /** Adds whole lines of event JSON, which a direct buffer holds. Gives the lines that were no events. */
  public long pushText(ByteBuffer lines, boolean skipBad) {
    return Native.pushText(key(), skipBad, -1, lines);
  }

  /** Adds whole lines {@code user,item} of an indicator, which a direct buffer holds. */
  public void pushText(int indicator, ByteBuffer lines) {
    Native.pushText(key(), false, indicator, lines);
  }

  /** Adds a batch of events by columns. Gives the rows that were no events. */
  public long pushEvents(Batch events, boolean skipBad) {
    long bad = events.rows() == 0 ? 0 : Native.pushEvents(key(), skipBad, events.rows(), events.buffers());
    events.clear();
    return bad;
  }

  /** Adds a batch of two text columns, user and item, of an indicator. */
  public void pushPairs(int indicator, Batch pairs) {
    if (pairs.rows() > 0) {
      Native.pushPairs(key(), indicator, pairs.rows(), pairs.buffers());
      pairs.clear();
    }
  }

  /** Adds what another session gave away. */
  public void merge(byte[] portion) {
    Native.merge(key(), portion);
  }

  /** Gives away what was read. This session is over then. */
  public byte[] portion() {
    return Native.portion(key());
  }

  /** Adds all events of the engine's app in the embedded store of a home. */
  public void read(String home) {
    run("{\"do\":\"read\",\"home\":" + Json.quote(home) + "}");
  }

  /**
   * Adds all events of a table in HBase.
   *
   * @param table {@code events_1}, or {@code events_1_2} for a channel
   */
  public void readHbase(String url, String table) {
    run("{\"do\":\"read\",\"hbase\":" + Json.quote(url) + ",\"table\":" + Json.quote(table) + "}");
  }

  /** Adds what is in a file of this machine: a portion. {@code position}: where its store was before it was read, or null. */
  public void readPortion(String file, String position) {
    String at = position == null ? "" : ",\"position\":" + Json.quote(position);
    run("{\"do\":\"read\",\"portion\":" + Json.quote(file) + at + "}");
  }

  /** Fails if no model could be published to these search servers; empty: those that the environment names, if it does. */
  public void reach(String index) {
    run("{\"do\":\"reach\",\"index\":" + Json.quote(index) + "}");
  }

  /** Ends reading. {@code current}: file of the model in use, for {@code "recsModel": "backfill"}, or null. */
  public void prepare(int threads, String current) {
    String model = current == null ? "" : ",\"current\":" + Json.quote(current);
    run("{\"do\":\"prepare\",\"threads\":" + threads + model + "}");
  }

  /** Counts everything here. */
  public void correlate(int threads) {
    run("{\"do\":\"correlate\",\"threads\":" + threads + "}");
  }

  /** What {@link Counting} needs elsewhere. */
  public byte[] counting() {
    return counting(0, 1);
  }

  /** The same of one of so many parts of the users, for {@link Sums}. */
  public byte[] counting(int part, int parts) {
    return Native.counting(key(), part, parts);
  }

  /** Most things that an indicator has. */
  public int things() {
    return (int) Native.count(key(), Native.THINGS);
  }

  /** Adds a block; those of an indicator in the order of items. */
  public void add(byte[] block) {
    Native.addBlock(key(), block);
  }

  /** Makes the model. */
  public void assemble() {
    run("{\"do\":\"assemble\"}");
  }

  /**
   * Publishes the model as a new generation in a folder of models, which gets one folder per engine; gives what there is to tell as JSON.
   *
   * @param run id of this run
   * @param replaces correlators of the model that it replaces, if that is elsewhere; negative: none
   * @param force publish even a model that shrank
   */
  public String publish(String models, String run, long startedMs, long replaces, boolean force) {
    return run(publication(models, run, startedMs, replaces, force) + "}");
  }

  /**
   * The same, and then to search servers. If they do not take it, the generation before is current again.
   *
   * @param index their URL; empty: those that the environment names, if it does
   * @param told hears of items that are in the index
   */
  public String publish(String models, String run, long startedMs, long replaces, boolean force, String index, Consumer<String> told) {
    return run(publication(models, run, startedMs, replaces, force) + ",\"index\":" + Json.quote(index) + "}", told);
  }

  private static String publication(String models, String run, long startedMs, long replaces, boolean force) {
    return "{\"do\":\"publish\",\"models\":" + Json.quote(models) + ",\"run\":" + Json.quote(run) + ",\"startedMs\":" + startedMs
        + ",\"publishedMs\":" + System.currentTimeMillis() + ",\"replaces\":" + replaces + ",\"force\":" + force;
  }

  /** Publishes the model for {@code use} alone: in the temporary folder, where it is deleted afterwards. */
  public <T> T useModel(Function<Model, T> use) throws IOException {
    Path folder = Files.createTempDirectory("arblast-model-");
    try {
      publish(folder.toString(), "alone", 0, -1, true);
      Path file = folder.resolve(engineFolder()).resolve("0000000001").resolve("model.arblast");
      try (Model model = new Model(file.toString(), null)) {
        return use.apply(model);
      }
    } finally {
      delete(folder);
    }
  }

  private static void delete(Path folder) {
    try (Stream<Path> all = Files.walk(folder)) {
      all.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
    } catch (IOException | UncheckedIOException error) {
      // what stays is in the temporary folder, and no reason to lose a result
      folder.toFile().deleteOnExit();
    }
  }

  /** What will be counted, in a line for people. */
  public String summary() {
    return text(Native.tell(key(), Native.SUMMARY));
  }

  /** Name of the engine's folder in a folder of models. */
  public String engineFolder() {
    return text(Native.tell(key(), Native.FOLDER));
  }

  /** {@code sparkConf} of the engine file: dotted names and their values. */
  public Map<String, String> sparkConf() {
    Table table = new Table(Native.tell(key(), Native.SPARK_CONF));
    Table.Texts names = table.texts();
    Table.Texts values = table.texts();
    Map<String, String> settings = new LinkedHashMap<>();
    for (int row = 0; row < table.rows(); row++) {
      settings.put(names.get(row), values.get(row));
    }
    return settings;
  }

  /** Must equal events meet in one session? So it is with {@code removeDuplicates}. */
  public boolean learns() {
    return Native.count(key(), Native.LEARNS) != 0;
  }

  /** Are the correlators of the model in use kept? So it is with {@code "recsModel": "backfill"}. */
  public boolean keepsCorrelators() {
    return Native.count(key(), Native.KEEPS) != 0;
  }

  /** Items that correlators are counted for; 0 if those of the model in use are kept. */
  public int items() {
    return (int) Native.count(key(), Native.ITEMS);
  }

  /** Indicators. */
  public int indicators() {
    return (int) Native.count(key(), Native.INDICATORS);
  }

  /** Interactions of all indicators, after sampling. */
  public long cells() {
    return Native.count(key(), Native.CELLS);
  }

  /** Steps that counting takes. */
  public long increments() {
    return Native.count(key(), Native.INCREMENTS);
  }

  private String run(String request) {
    return run(request, line -> {});
  }

  private String run(String request, Consumer<String> told) {
    Native.start(key(), utf8(request));
    boolean stopped = false;
    for (int look = 1; !Native.await(key(), LOOK_MS); look++) {
      if (look % TELL == 0) {
        told.accept(progress());
      }
      if (stopped) {
        // It ends by itself at its next step; nobody needs to wait for that.
        break;
      }
      if (cancelled.getAsBoolean() || Thread.currentThread().isInterrupted()) {
        Native.stop(key());
        stopped = true;
      }
    }
    if (stopped) {
      throw new CancellationException("cancelled");
    }
    return text(Native.tell(key(), Native.RESULT));
  }

  private String progress() {
    String[] parts = text(Native.tell(key(), Native.PROGRESS)).split("\t");
    return parts[0] + (parts[2].equals("0") ? "" : ": " + parts[1] + " of " + parts[2]);
  }

  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static String text(byte[] utf8) {
    return new String(utf8, StandardCharsets.UTF_8);
  }
}
