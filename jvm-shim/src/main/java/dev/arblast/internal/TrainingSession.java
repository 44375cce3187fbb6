package dev.arblast.internal;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/**
 * A train, from its first event to its model: push or merge, {@link #prepare}, {@link #correlate} or blocks that were counted elsewhere,
 * {@link #assemble}, {@link #publish}. One caller at a time. Long steps look every second whether they should end.
 */
public final class TrainingSession extends NativeObject {
  private static final long LOOK_MS = 1000;

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
    String request =
        "{\"do\":\"publish\",\"models\":" + Json.quote(models) + ",\"run\":" + Json.quote(run) + ",\"startedMs\":" + startedMs
            + ",\"publishedMs\":" + System.currentTimeMillis() + ",\"replaces\":" + replaces + ",\"force\":" + force + "}";
    return run(request);
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
    Native.start(key(), utf8(request));
    boolean stopped = false;
    while (!Native.await(key(), LOOK_MS)) {
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

  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static String text(byte[] utf8) {
    return new String(utf8, StandardCharsets.UTF_8);
  }
}
