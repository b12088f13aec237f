# Figure 3 of two runs side by side, from the numbers that each left (figure3.dat):
#   gnuplot -e "left='OUT-1'; right='OUT-2'; left_title='...'; right_title='...'; picture='FILE.png'" scripts/figure3-beside.gp
# Where the network panel is above nothing, frames went to the edge.
set terminal pngcairo size 1500,900 font 'sans,11'
set output picture
set datafile missing 'NaN'
# Both columns of a row share their scale.
array highest[5]
do for [field in '2 3 5'] {
  highest[field + 0] = 0
  do for [run in left . ' ' . right] {
    stats run . '/figure3.dat' using (column(field + 0)) nooutput
    if (STATS_max > highest[field + 0]) { highest[field + 0] = STATS_max }
  }
}
set multiplot layout 3,2 columnsfirst
set grid ytics lc rgb '#d0d0d0'
set lmargin 10
set rmargin 3
unset key
do for [side = 1:2] {
  run = side == 1 ? left : right
  file = run . '/figure3.dat'
  set title (side == 1 ? left_title : right_title) noenhanced
  unset xlabel
  set ylabel 'frames / s'
  set yrange [0:highest[2] * 1.05]
  plot file using 1:2 with lines lw 1.5 lc rgb '#1b7837'
  unset title
  set ylabel 'UE CPU (% of a core)'
  set yrange [0:highest[3] * 1.05]
  plot file using 1:3 with lines lw 1.5 lc rgb '#b2182b'
  set xlabel 'frame'
  set ylabel 'network (MB / frame)'
  set yrange [0:highest[5] * 1.05]
  plot file using 1:5 with lines lw 1.5 lc rgb '#542788'
}
unset multiplot
