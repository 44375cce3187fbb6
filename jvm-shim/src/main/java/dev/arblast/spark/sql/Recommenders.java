package dev.arblast.spark.sql;

import dev.arblast.Recommender;
import java.io.Serializable;

/** Gives what answers, on the driver or in a task. */
interface Recommenders extends Serializable {
  Recommender get();
}
