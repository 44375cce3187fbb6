package dev.arblast.spark.source;

import dev.arblast.Recommender;
import dev.arblast.internal.Model;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A model in this process: copied if it is elsewhere, opened once, and kept while it is among those used last. What is no longer kept goes
 * on working for those who hold it, and is freed after them.
 */
public final class LocalModel {
  private static final int KEPT = 8;
  private static final Map<ModelFile, LocalModel> MODELS =
      new LinkedHashMap<ModelFile, LocalModel>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<ModelFile, LocalModel> eldest) {
          return size() > KEPT && eldest.getValue().forget();
        }
      };

  private final ModelFile origin;
  private final Map<String, Recommender> recommenders = new HashMap<>();
  private Model model;
  private Path copy;

  private LocalModel(ModelFile origin) {
    this.origin = origin;
  }

  /** The model of a file. */
  public static LocalModel of(ModelFile file) {
    synchronized (MODELS) {
      return MODELS.computeIfAbsent(file, LocalModel::new);
    }
  }

  /** To be read. */
  public synchronized Model model() {
    if (model == null) {
      model = new Model(path(), null);
    }
    return model;
  }

  /** To answer queries by an engine file, of which this is the text. */
  public synchronized Recommender recommender(String engine) {
    Recommender recommender = recommenders.get(engine);
    if (recommender == null) {
      recommender = Recommender.open(path(), engine);
      recommenders.put(engine, recommender);
    }
    return recommender;
  }

  private String path() {
    if (origin.isLocal()) {
      return origin.here();
    }
    try {
      if (copy == null || !Files.exists(copy)) {
        Path file = Files.createTempFile("arblast-", ".model");
        file.toFile().deleteOnExit();
        origin.copyTo(file);
        copy = file;
      }
      return copy.toString();
    } catch (IOException error) {
      throw new UncheckedIOException("cannot copy the model " + origin + " to this machine: " + error.getMessage(), error);
    }
  }

  /** Deletes the copy: its mapping lives on without the name. */
  private synchronized boolean forget() {
    if (copy != null) {
      copy.toFile().delete();
    }
    return true;
  }
}
