package dev.arblast.internal;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.function.IntConsumer;

/**
 * What crossing the border costs in one pass over some rows, as figure → ns or bytes a row, or ns a call. Time is what the processor spends
 * on this thread, so that other programs do not count, but for the caches that they share. {@link Border} makes the passes of several jars
 * take turns, each with its own class loader; its argument names what to measure.
 */
public final class BorderPasses implements Function<String, Map<String, Double>> {
  private static final int ROWS = 1 << 19;
  private static final int LINES = 1 << 17;
  private static final int BLOCK = 1 << 20;
  private static final int USERS = 140_000;
  private static final int ITEMS = 27_000;
  private static final int CALLS = 1 << 19;
  private static final int QUERIES = 1000;
  /** Items whose rows leave in one table. */
  private static final int PIECE = 512;
  private static final String ENGINE =
      "{\"id\":\"bench\",\"engineFactory\":\"com.actionml.RecommendationEngine\",\"datasource\":{\"params\":{\"appName\":\"bench\"}},"
          + "\"algorithms\":[{\"name\":\"ur\",\"params\":{\"appName\":\"bench\",\"indexName\":\"bench\",\"eventNames\":[\"buy\",\"view\"]}}]}";

  private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
  private final byte[][] users = ids('u', USERS, ROWS, 1);
  private final byte[][] items = ids('i', ITEMS, ROWS, 2);
  private final byte[][] lines = eventLines();
  private final byte[] text = pairText();
  private final Batch pairBatch = new Batch(2, 0);
  private final Batch lineBatch = new Batch(1, 0);
  private final Batch eventBatch = new Batch(Batch.EVENT_TEXTS, Batch.EVENT_NUMBERS);
  private long model;
  private Map<String, Double> figures;
  /** What calls gave, so that none can be left out. */
  double sum;

  @Override
  public Map<String, Double> apply(String what) {
    figures = new LinkedHashMap<>();
    switch (what) {
      case "pairs":
        pairs();
        break;
      case "lines":
        in("lines", LINES, lineBatch, (batch, row) -> batch.text(0).add(lines[row]),
            (session, batch) -> Native.pushLines(session, false, batch.rows(), batch.buffers()));
        break;
      case "text":
        text();
        break;
      case "events":
        events();
        break;
      case "calls":
        call("llr", n -> sum += Native.llr(0, 0, 0, n & 1));
        call("count", n -> sum += Native.count(model, Native.MODEL_ITEMS));
        break;
      case "table":
        table();
        break;
      case "answer":
        answer();
        break;
      default:
        open(Paths.get(what));
    }
    return figures;
  }

  private long now() {
    return threads.getCurrentThreadCpuTime();
  }

  private void call(String name, IntConsumer call) {
    long start = now();
    for (int n = 0; n < CALLS; n++) {
      call.accept(n);
    }
    figures.put(name + ", ns a call", (double) (now() - start) / CALLS);
  }

  /** Fills a row of a batch. */
  private interface Filling {
    void fill(Batch batch, int row);
  }

  /** Hands a batch over. */
  private interface Pushing {
    void push(long session, Batch batch);
  }

  /** Fills and pushes rows: the time before the call, which ends with buffers to hand over, and the time within. */
  private void in(String name, int rows, Batch batch, Filling filling, Pushing pushing) {
    long session = session();
    long fill = 0;
    long push = 0;
    long bytes = 0;
    for (int row = 0; row < rows; ) {
      long start = now();
      batch.clear();
      for (boolean full = false; row < rows && !full; row++) {
        filling.fill(batch, row);
        full = batch.endRow();
      }
      bytes += copied(batch);
      long filled = now();
      pushing.push(session, batch);
      push += now() - filled;
      fill += filled - start;
    }
    Native.close(session);
    figures.put(name + " filled", (double) fill / rows);
    figures.put(name + " pushed", (double) push / rows);
    figures.put(name + " in", (double) (fill + push) / rows);
    figures.put(name + " copied, bytes", (double) bytes / rows);
  }

  private static long copied(Batch batch) {
    long bytes = 0;
    for (ByteBuffer buffer : batch.buffers()) {
      bytes += buffer == null ? 0 : buffer.capacity();
    }
    return bytes;
  }

  private void pairs() {
    Filling filling = (batch, row) -> {
      batch.text(0).add(users[row]);
      batch.text(1).add(items[row]);
    };
    in("pairs", ROWS, pairBatch, filling, (session, batch) -> Native.pushPairs(session, 0, batch.rows(), batch.buffers()));
  }

  /** Lines as the jobs hand them over: by blocks of a megabyte, copied from the heap. */
  private void text() {
    ByteBuffer direct = ByteBuffer.allocateDirect(2 * BLOCK);
    long session = session();
    long fill = 0;
    long push = 0;
    for (int start = 0; start < text.length; ) {
      int end = start;
      while (end < text.length && end - start < BLOCK || text[end - 1] != '\n') {
        end++;
      }
      long begun = now();
      direct.clear();
      direct.put(text, start, end - start);
      direct.flip();
      long filled = now();
      Native.pushText(session, false, 0, direct.slice());
      push += now() - filled;
      fill += filled - begun;
      start = end;
    }
    Native.close(session);
    figures.put("text copied", (double) fill / ROWS);
    figures.put("text pushed", (double) push / ROWS);
    figures.put("text in", (double) (fill + push) / ROWS);
    figures.put("text copied, bytes", (double) text.length / ROWS);
  }

  private byte[] pairText() {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    for (int row = 0; row < ROWS; row++) {
      text.write(users[row], 0, users[row].length);
      text.write(',');
      text.write(items[row], 0, items[row].length);
      text.write('\n');
    }
    return text.toByteArray();
  }

  private void events() {
    byte[][] fixed = {"buy".getBytes(UTF_8), "user".getBytes(UTF_8), "item".getBytes(UTF_8)};
    Filling filling = (batch, row) -> {
      batch.text(0).add(fixed[0]);
      batch.text(1).add(fixed[1]);
      batch.text(2).add(users[row]);
      batch.text(3).add(fixed[2]);
      batch.text(4).add(items[row]);
      for (int column = 5; column < Batch.EVENT_TEXTS; column++) {
        batch.text(column).add((byte[]) null);
      }
      batch.number(0, Long.valueOf(1_690_000_000_000_000L + row));
    };
    in("events", LINES, eventBatch, filling, (session, batch) -> Native.pushEvents(session, false, batch.rows(), batch.buffers()));
  }

  private static byte[][] ids(char first, int distinct, int rows, long seed) {
    Random random = new Random(seed);
    byte[][] ids = new byte[rows][];
    for (int row = 0; row < rows; row++) {
      // Some are far more active than others.
      double share = random.nextDouble();
      ids[row] = (first + Integer.toString((int) (share * share * distinct))).getBytes(UTF_8);
    }
    return ids;
  }

  private byte[][] eventLines() {
    byte[][] lines = new byte[LINES][];
    for (int row = 0; row < LINES; row++) {
      String line =
          "{\"event\":\"buy\",\"entityType\":\"user\",\"entityId\":\"" + new String(users[row], UTF_8)
              + "\",\"targetEntityType\":\"item\",\"targetEntityId\":\"" + new String(items[row], UTF_8)
              + "\",\"eventTime\":\"2023-11-01T00:00:00.000Z\"}";
      lines[row] = line.getBytes(UTF_8);
    }
    return lines;
  }

  private static long session() {
    return Native.openSession(ENGINE.getBytes(UTF_8), 1_700_000_000_000L, false);
  }

  private static String run(long session, String request) {
    Native.start(session, request.getBytes(UTF_8));
    while (!Native.await(session, 1000)) {}
    return new String(Native.tell(session, Native.RESULT), UTF_8);
  }

  /** Trains a model in a folder, to be read and asked. */
  private void open(Path folder) {
    long session = session();
    byte[][] some = ids('u', 30_000, ROWS, 3);
    byte[][] things = ids('i', 5_000, ROWS, 4);
    pairBatch.clear();
    for (int row = 0; row < ROWS; row++) {
      pairBatch.text(0).add(some[row]);
      pairBatch.text(1).add(things[row]);
      if (pairBatch.endRow() || row == ROWS - 1) {
        Native.pushPairs(session, 0, pairBatch.rows(), pairBatch.buffers());
        pairBatch.clear();
      }
    }
    run(session, "{\"do\":\"prepare\",\"threads\":1}");
    run(session, "{\"do\":\"correlate\",\"threads\":1}");
    run(session, "{\"do\":\"assemble\"}");
    String told = run(session, "{\"do\":\"publish\",\"models\":" + Json.quote(folder.toString()) + ",\"run\":\"bench\",\"force\":true}");
    Native.close(session);
    File file = new File(told.replaceAll(".*\"directory\":\"([^\"]+)\".*", "$1"), "0000000001/model.arblast");
    model = Native.openModel(file.toString().getBytes(UTF_8), ENGINE.getBytes(UTF_8));
  }

  private void table() {
    int all = (int) Native.count(model, Native.MODEL_ITEMS);
    long made = 0;
    long read = 0;
    long rows = 0;
    long bytes = 0;
    for (int item = 0; item < all; item += PIECE) {
      long start = now();
      byte[] piece = Native.table(model, 0, item, Math.min(all, item + PIECE));
      long there = now();
      Table table = new Table(piece);
      sum += look(table);
      read += now() - there;
      made += there - start;
      rows += table.rows();
      bytes += piece.length;
    }
    figures.put("correlators made", (double) made / rows);
    figures.put("correlators read", (double) read / rows);
    figures.put("correlators out", (double) (made + read) / rows);
    figures.put("correlators copied, bytes", (double) bytes / rows);
  }

  /** Looks at every value, as who makes rows of them. */
  private static double look(Table table) {
    Table.Texts of = table.texts();
    Table.Texts indicators = table.texts();
    Table.Numbers places = table.numbers();
    Table.Texts things = table.texts();
    Table.Numbers strengths = table.numbers();
    double sum = 0;
    for (int row = 0; row < table.rows(); row++) {
      sum += of.start(row) + of.length(row) + indicators.length(row) + things.start(row) + things.length(row);
      sum += places.get(row) + strengths.get(row);
    }
    return sum;
  }

  private void answer() {
    long rows = 0;
    long start = now();
    for (int n = 0; n < QUERIES; n++) {
      byte[] query = ("{\"num\":100,\"item\":\"i" + n + "\"}").getBytes(UTF_8);
      rows += new Table(Native.answer(model, 1, query, 1_700_000_000_000L)).rows();
    }
    long took = now() - start;
    figures.put("answer of 100, ns a call", (double) took / QUERIES);
    figures.put("answer out", (double) took / rows);
  }
}
