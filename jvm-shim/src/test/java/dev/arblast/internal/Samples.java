package dev.arblast.internal;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Small real things of every kind that crosses the border, made by the native methods themselves. */
final class Samples {
  static final long NOW = 1_700_000_000_000L;

  /** Two indicators by name. */
  static final String PLAIN = engine("", "\"eventNames\":[\"buy\",\"view\"]");
  /** Everything that reads more of an event than who did what. */
  static final String RICH =
      engine(
          "\"minEventsPerUser\":2,\"eventWindow\":{\"duration\":\"730 days\"},",
          "\"indicators\":[{\"name\":\"buy\",\"maxCorrelatorsPerItem\":7,\"minLLR\":0.5},{\"name\":\"view\",\"aliases\":[\"look\"]}],"
              + "\"availableDateName\":\"available\",\"expireDateName\":\"expires\",\"dateName\":\"date\",\"seed\":3,"
              + "\"rankings\":[{\"type\":\"popular\",\"duration\":\"90 days\"},{\"type\":\"trending\",\"missingAsZero\":true},"
              + "{\"type\":\"hot\"},{\"type\":\"random\"},{\"type\":\"userDefined\"}],\"dither\":{\"sigma\":2},"
              + "\"fields\":[{\"name\":\"stock\",\"values\":[\"none\"],\"bias\":0}],\"resultProps\":[\"*\"]");
  /** Holds all events until the last has come. */
  static final String DISTINCT =
      engine("\"eventWindow\":{\"removeDuplicates\":true},", "\"eventNames\":[\"buy\",\"view\"]");
  /** Counts nothing: it keeps the correlators of a model. */
  static final String BACKFILL = engine("", "\"eventNames\":[\"buy\",\"view\"],\"recsModel\":\"backfill\"");
  /** Thins nothing out, so that few pairs are much to count. */
  static final String LONG = engine("", "\"eventNames\":[\"buy\",\"view\"],\"maxEventsPerEventType\":1000000");
  static final String[] ENGINES = {PLAIN, RICH, DISTINCT, BACKFILL};

  private static final int ROWS = 400;

  /** An app that {@link #home} has. */
  static final byte[] APP = "fuzz".getBytes(UTF_8);

  private final Path home;
  final byte[] portion;
  final byte[] richPortion;
  final byte[] heavyPortion;
  final byte[] counting;
  final List<byte[]> blocks = new ArrayList<>();
  final Path model;

  /** The path of a home with an app. */
  byte[] home() {
    return home.toString().getBytes(UTF_8);
  }

  /** No native method makes an app: the program does. */
  private void makeApp() {
    String program = System.getenv("ARBLAST") == null ? "../target/debug/arblast" : System.getenv("ARBLAST");
    try {
      Process process = new ProcessBuilder(program, "app", "new", new String(APP, UTF_8), "--home", home.toString()).start();
      if (process.waitFor() != 0) {
        throw new IllegalStateException(program + " cannot make an app");
      }
    } catch (java.io.IOException | InterruptedException error) {
      throw new IllegalStateException("these tests need the program: `cargo build -p arblast`, or ARBLAST names it", error);
    }
  }

  /** Trains, and publishes one model under a folder. */
  Samples(Path folder) {
    home = folder.resolve("home");
    makeApp();
    portion = portion(reading(PLAIN));
    richPortion = portion(reading(RICH));
    long heavy = Native.openSession(LONG.getBytes(UTF_8), NOW, true);
    pairs(heavy, 150_000, 100, 2000);
    heavyPortion = portion(heavy);
    long session = training(PLAIN);
    counting = Native.counting(session, 0, 1);
    long counter = Native.openCounting(counting);
    int items = (int) Native.count(counter, Native.COUNTING_ITEMS);
    for (int indicator = 0; indicator < 2; indicator++) {
      blocks.add(Native.block(counter, indicator, 0, items / 2));
      blocks.add(Native.block(counter, indicator, items / 2, items));
    }
    Native.close(counter);
    blocks.forEach(block -> Native.addBlock(session, block));
    run(session, "{\"do\":\"assemble\"}");
    String told = run(session, publish(folder, "samples", true));
    Native.close(session);
    model = folder.resolve(told.replaceAll(".*\"directory\":\"([^\"]+)\".*", "$1")).resolve("0000000001/model.arblast");
  }

  private static String engine(String datasource, String algorithm) {
    return "{\"id\":\"default\",\"engineFactory\":\"com.actionml.RecommendationEngine\",\"datasource\":{\"params\":{" + datasource
        + "\"appName\":\"shop\"}},\"algorithms\":[{\"name\":\"ur\",\"params\":{\"appName\":\"shop\",\"indexName\":\"shop\"," + algorithm
        + "}}]}";
  }

  static String publish(Path models, String run, boolean force) {
    return "{\"do\":\"publish\",\"models\":" + Json.quote(models.toString()) + ",\"run\":" + Json.quote(run)
        + ",\"startedMs\":1,\"publishedMs\":2,\"replaces\":-1,\"force\":" + force + "}";
  }

  /** A session that takes events and has some. */
  static long reading(String engine) {
    long session = Native.openSession(engine.getBytes(UTF_8), NOW, false);
    pairs(session, ROWS, 40, 30);
    Batch lines = new Batch(1, 0);
    for (String line : lines()) {
      lines.text(0).add(line);
      lines.endRow();
    }
    Native.pushLines(session, false, lines.rows(), lines.buffers());
    return session;
  }

  static long training(String engine) {
    long session = reading(engine);
    run(session, "{\"do\":\"prepare\",\"threads\":2}");
    return session;
  }

  static long trained(String engine) {
    long session = training(engine);
    run(session, "{\"do\":\"correlate\",\"threads\":2}");
    run(session, "{\"do\":\"assemble\"}");
    return session;
  }

  /** A session that counts for some tenths of a second. */
  long busy() {
    long session = Native.openSession(LONG.getBytes(UTF_8), NOW, false);
    Native.merge(session, heavyPortion);
    run(session, "{\"do\":\"prepare\",\"threads\":2}");
    Native.start(session, "{\"do\":\"correlate\",\"threads\":1}".getBytes(UTF_8));
    return session;
  }

  /** Does a request to its end; gives its result. */
  static String run(long session, String request) {
    Native.start(session, request.getBytes(UTF_8));
    while (!Native.await(session, 1000)) {}
    return new String(Native.tell(session, Native.RESULT), UTF_8);
  }

  private static byte[] portion(long session) {
    byte[] portion = Native.portion(session);
    Native.close(session);
    return portion;
  }

  /** Pushes pairs of both indicators, the same each time. */
  static void pairs(long session, int rows, int users, int items) {
    Random random = new Random(7);
    Batch batch = new Batch(2, 0);
    for (int row = 0; row < rows; row++) {
      pair(batch, random.nextInt(users), random.nextInt(items));
      if (batch.endRow() || row == rows - 1) {
        for (int indicator = 0; indicator < 2; indicator++) {
          Native.pushPairs(session, indicator, batch.rows(), batch.buffers());
        }
        batch.clear();
      }
    }
  }

  /** Adds a row without ending it. Some ids have characters of two and four bytes. */
  static void pair(Batch batch, int user, int item) {
    batch.text(0).add("ü" + user);
    batch.text(1).add((item % 3 == 0 ? "🙂" : "i") + item);
  }

  static List<String> lines() {
    List<String> lines = new ArrayList<>();
    for (int n = 0; n < 12; n++) {
      String target = ",\"targetEntityType\":\"item\",\"targetEntityId\":\"i" + n % 5 + "\"";
      lines.add(event(n % 3 == 0 ? "buy" : "view", "user", "ü" + n % 4, target));
    }
    String properties = ",\"properties\":{\"stock\":\"some\",\"price\":3.5,\"tags\":[\"a\",\"ü\"],\"date\":\"2023-01-01\"}";
    lines.add(event("$set", "item", "i1", properties));
    lines.add(event("$unset", "item", "i1", ",\"properties\":{\"stock\":null}"));
    lines.add(event("$delete", "item", "i2", ""));
    return lines;
  }

  private static String event(String event, String type, String id, String rest) {
    return "{\"event\":\"" + event + "\",\"entityType\":\"" + type + "\",\"entityId\":\"" + id + "\"" + rest
        + ",\"eventTime\":\"2023-11-0" + (1 + rest.length() % 9) + "T00:00:00Z\"}";
  }

  /** Pairs as text. */
  static final List<String> COMMAS = java.util.Arrays.asList("ü1,i1", "ü2,i1", "", "ü1,🙂3\r", "ü2,i2,and more", "ü3");

  static final String[] QUERIES = {
    "{\"num\":4,\"item\":\"i1\"}",
    "{\"num\":3,\"from\":1,\"history\":[{\"event\":\"buy\",\"item\":\"i1\"},{\"event\":\"view\",\"item\":\"🙂3\"}]}",
    "{\"user\":\"ü1\",\"itemSet\":[\"i1\",\"i2\"],\"fields\":[{\"name\":\"stock\",\"values\":[\"some\"],\"bias\":-1}],\"returnSelf\":true}",
    "{\"num\":5,\"dateRange\":{\"name\":\"date\",\"after\":\"2020-01-01\"},\"blacklistItems\":[\"i4\"],\"resultProps\":[\"*\"]}",
    "{}",
  };

  /** Requests of every kind, with paths into a folder only. */
  String[] requests(Path folder) {
    String home = ",\"home\":" + Json.quote(folder.resolve("home").toString());
    return new String[] {
      "{\"do\":\"read\"" + home + "}",
      "{\"do\":\"read\",\"hbase\":\"nowhere\",\"table\":\"events_1\"}",
      "{\"do\":\"read\",\"position\":\"1-2-3\",\"portion\":" + Json.quote(folder.resolve("portion").toString()) + "}",
      "{\"do\":\"reach\",\"index\":\"embedded\"}",
      "{\"do\":\"prepare\",\"threads\":2}",
      "{\"do\":\"prepare\",\"threads\":1,\"current\":" + Json.quote(model.toString()) + "}",
      "{\"do\":\"correlate\",\"threads\":3}",
      "{\"do\":\"assemble\"}",
      publish(folder.resolve("models"), "run", true),
      publish(folder.resolve("models"), "run", false),
    };
  }

  /** A direct buffer with these bytes, ready to be read. */
  static ByteBuffer direct(byte[] bytes) {
    ByteBuffer buffer = TextColumn.direct(bytes.length);
    buffer.duplicate().put(bytes);
    return buffer;
  }
}
